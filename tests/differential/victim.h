// SPDX-License-Identifier: Apache-2.0
// A row of the differential harness: a program, how it is started, and what must hold of it in every mode.
#pragma once

#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace unknot::differential {

enum class Breaks : unsigned char {
    hangs,
    fails,  // hangs, crashes, or says that something is wrong
};

struct Except {
    const char* allocator;  // "": every one
    const char* why;
    Breaks how = Breaks::hangs;  // read in `may_break` only
};

enum class Output : unsigned char {
    same,
    same_when_off,  // what it prints is what the shim takes or does, which `off` must not
    any,
};

using Variables = std::vector<std::pair<std::string, std::string>>;

struct Victim {
    const char* name;
    std::vector<std::string> argv;         // argv[0]: a file of victims/; with a slash: a program of the system
    std::vector<std::string> before = {};  // preloaded before the shim: files of preloads/, or sonames
    std::vector<std::string> behind = {};  // between the shim and the allocator
    Variables environment = {};
    int status = 0;  // how it ends: its exit status, or minus the signal
    Output output = Output::same;
    bool compares_errors = true;  // is its stderr the same too?
    bool memory = true;           // at most as much resident memory as bare, plus `memory_allowance_kb`
    bool vendor_doors = false;    // calls functions of the allocator's own: the shim's object for them is preloaded too
    std::vector<Except> leaves_out = {};  // allocators under which the row makes no sense
    std::vector<Except> may_break =
        {};                             // where it breaks without the shim: then each mode runs, or breaks as bare does
    bool cured = false;                 // and there, the shim mends it where it protects
    const char* null_breaks = nullptr;  // why it does not run behind the null interposer
    bool likely = false;                // one of the quick subset
    std::vector<std::string> files = {};  // that it leaves behind; %a is the allocator's name
};

inline constexpr long memory_allowance_kb = 16 * 1024;

// Each of them is a family: rows/NAME.cpp.
std::vector<Victim> fork_rows();
std::vector<Victim> signal_rows();
std::vector<Victim> long_stretch_rows();
std::vector<Victim> memory_rows();
std::vector<Victim> start_rows();
std::vector<Victim> contract_rows();

struct Allocator {
    const char* name;
    const char* soname;  // empty: libc's own
    const char* vendor;  // whose functions of its own it has; empty: none
    Variables environment = {};
    bool unwinds = false;  // inside malloc, through the loader: `auto` protects
};

// How googletest shows the parameter.
inline void PrintTo(const Victim& victim, std::ostream* out) {
    *out << victim.name;
}
inline void PrintTo(const Allocator& allocator, std::ostream* out) {
    *out << allocator.name;
}

// A file that was built here.
std::string built(const std::string& name);

}  // namespace unknot::differential
