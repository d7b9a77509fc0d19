// SPDX-License-Identifier: Apache-2.0
// The commands. Each returns the exit code; each throws Trouble for what ends in one line on stderr and code 2.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace unknot::cli {

struct RunOptions {
    std::string allocator;  // tcmalloc, tcmalloc_minimal, mimalloc, jemalloc, or a path; empty: as it is
    std::string mode;       // empty: as in the environment
    std::string library;    // --library; empty: UNKNOT_LIBRARY, then beside this executable
    bool stats = false;     // at exit, to the shim's log
    bool dry_run = false;
    bool json = false;
    std::vector<std::string> command;
};
int run(const RunOptions& options);

struct DoctorOptions {
    std::vector<int> pids;
    bool all = false;
    std::vector<std::string> command;
    std::vector<std::string> only;  // verdicts that are shown; empty: all
    bool json = false;
    std::string report_file;                // for deadlocked processes, %p is the process id; empty: none is written
    std::string core, executable, sysroot;  // --core: a dump instead of a process
};
int doctor(const DoctorOptions& options);

enum class StatFormat { text, json, openmetrics };
struct StatOptions {
    std::vector<int> pids;
    bool all = false;
    std::optional<double> watch;  // seconds
    int rounds = 0;               // with watch: stop after so many; 0: go on
    StatFormat format = StatFormat::text;
};
int stat(const StatOptions& options);

struct CheckOptions {
    std::string library;  // as with run
    bool json = false;
};
int check(const CheckOptions& options);

struct ImmuniseOptions {
    std::vector<int> pids;
    bool undo = false;
    bool dry_run = false;
};
int immunise(const ImmuniseOptions& options);

struct RescueOptions {
    int pid = 0;
    bool dry_run = false;
};
int rescue(const RescueOptions& options);

inline constexpr const char* default_listen = "127.0.0.1:9464";
struct WatchOptions {
    double interval_s = 15;
    int rounds = 0;      // 0: until it is ended
    std::string listen;  // ADDRESS:PORT; empty: no endpoint, unless nothing else is asked for
    std::string textfile;
    bool json = false;
    bool per_process = false;
    std::vector<std::string> programs;  // names of those that are watched; empty: all
    bool rescue = false;
    double rescue_interval_s = 60;
    std::string report_file;  // as with doctor
};
int watch(const WatchOptions& options);

}  // namespace unknot::cli
