// SPDX-License-Identifier: Apache-2.0
// Starts a program, watches it, and tells one that hangs from one that is slow. A hang is judged by missing progress,
// never by a deadline on the work: no new output, every thread asleep and next to no CPU time used, for `quiet`.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/process/vital_signs.h"

namespace unknot::process {

struct Command {
    std::vector<std::string> argv;  // argv[0] is looked up in PATH
    // Added to the environment of the caller; variables that it must not inherit are named with an empty value.
    std::vector<std::pair<std::string, std::string>> environment = {};
    // Files that it removes when it ends by itself, and that we remove when we end it; %p stands for its pid.
    std::vector<std::string> leaves = {};
};

enum class Outcome : std::uint8_t {
    exited,   // code: its exit status
    killed,   // code: the signal, which was not ours
    hung,     // made no progress; we ended it
    overdue,  // still made progress at `limit`; we ended it. Says that the work or the limit is wrong, not that it hung
};

struct Watch {
    std::chrono::milliseconds quiet = std::chrono::seconds(3);
    std::chrono::milliseconds limit = std::chrono::minutes(5);
};

struct Result {
    Outcome outcome;
    int code = 0;
    pid_t pid = 0;
    std::string out = {};
    std::string err = {};
    long peak_kb = 0;  // the most memory that it, or a child that it waited for, had resident

    bool succeeded() const { return outcome == Outcome::exited && code == 0; }
};

// "exited 0", "killed by signal 11", "hung", ...
std::string describe(const Result& result);

// Owns one child process from its start until it is reaped. Destroying it ends the child and whatever it started; so
// does the end of the thread that made it.
class Child {
  public:
    using Clock = std::chrono::steady_clock;

    explicit Child(const Command& command, Watch watch = {});
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    // Waits for up to `patience` for its end, then looks at it once; empty while it is alive and not stuck.
    std::optional<Result> look(std::chrono::milliseconds patience);

    pid_t pid() const { return pid_; }
    // What it has written so far.
    std::string out() const;
    std::string err() const;

  private:
    bool made_progress();
    Result finish(Outcome outcome, int code);
    long end_and_reap();

    Watch watch_;
    std::vector<std::string> leaves_;
    pid_t pid_ = -1;
    int pidfd_ = -1;
    int out_ = -1;
    int err_ = -1;
    Clock::time_point started_ = Clock::now();
    // State at the last progress, and whether it was awake when last looked at.
    Clock::time_point quiet_since_ = started_;
    std::uint64_t quiet_cpu_ms_ = 0;
    std::int64_t quiet_output_ = 0;
    bool was_awake_ = true;
};

// Starts it, watches it to its end.
Result run(const Command& command, Watch watch = {});

}  // namespace unknot::process
