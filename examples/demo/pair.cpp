// SPDX-License-Identifier: Apache-2.0
// Both programs are looked at in turn, ten times a second; nothing here can wait for a program that hangs.
#include "examples/demo/pair.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <string_view>

#include "tests/process/report_line.h"

namespace demo {

using unknot::process::Child;
using unknot::process::Command;
using unknot::process::LogFolder;
using unknot::process::Outcome;
using unknot::process::ReportLine;
using unknot::process::Result;

volatile int stop_requested = 0;

namespace {

Command preloading(const Case& which, const std::string& preload) {
    Command command = which.command;
    command.environment.emplace_back("LD_PRELOAD", preload);
    command.environment.emplace_back("TCMALLOC_STACKTRACE_METHOD", which.stack_method);
    // The demo shows the shim's defaults, whatever the caller's shell has set.
    for (const char* variable : {"UNKNOT_MODE", "UNKNOT_WALK", "UNKNOT_ARENA_MAX", "UNKNOT_ARENA_FULL"}) {
        command.environment.emplace_back(variable, "");
    }
    return command;
}

class Side {
  public:
    explicit Side(const Command& command) : child_(command) {}

    bool ended() const { return result_.has_value(); }
    const Result& result() const { return *result_; }
    void look() {
        if (!ended()) result_ = child_.look(std::chrono::milliseconds(50));
    }
    // The newest line that it has written, and for how long it has been silent.
    std::string state() {
        if (ended()) return describe(*result_);
        const std::string out = child_.out();
        if (out.size() != written_) {
            written_ = out.size();
            wrote_ = Child::Clock::now();
        }
        const std::size_t last = out.empty() ? std::string::npos : out.rfind('\n', out.size() - 2);
        std::string line = out.substr(last == std::string::npos ? 0 : last + 1);
        while (!line.empty() && line.back() == '\n') line.pop_back();
        const auto silent = std::chrono::duration_cast<std::chrono::seconds>(Child::Clock::now() - wrote_).count();
        return silent > 0 ? "silent for " + std::to_string(silent) + " s" : line.empty() ? "starts" : line;
    }

  private:
    Child child_;
    std::optional<Result> result_;
    std::size_t written_ = 0;
    Child::Clock::time_point wrote_ = Child::Clock::now();
};

// The title once, and under it a line that is written over until both have ended.
class LiveLine {
  public:
    explicit LiveLine(const std::string& title) { std::printf("%s\n", title.c_str()); }
    void show(Side& without, Side& with) {
        const bool last = without.ended() && with.ended();
        if (!terminal_ && !last) return;
        // Fits into 80 columns, because a line that wraps cannot be written over.
        std::printf("%s    without: %-28.28s with: %-.28s%s", terminal_ ? "\r\033[K" : "", without.state().c_str(),
                    with.state().c_str(), last ? "\n" : "");
        std::fflush(stdout);
    }

  private:
    bool terminal_ = isatty(STDOUT_FILENO) == 1;
};

// The loader says so and goes on; the run would then be one of another allocator.
std::string missing_preload(const Result& result) {
    return result.err.find("cannot be preloaded") == std::string::npos ? ""
                                                                       : result.err.substr(0, result.err.find('\n'));
}

}  // namespace

PairResult run_pair(const Case& which, const std::filesystem::path& folder, const std::string& title) {
    const LogFolder log;
    Command shimmed = preloading(which, (folder / which.shim).string() + " " + which.allocator);
    shimmed.environment.emplace_back("UNKNOT_REPORT", "exit");
    shimmed.environment.emplace_back("UNKNOT_LOG", log.setting());
    Side without(preloading(which, which.allocator));
    Side with(shimmed);
    LiveLine line(title);
    while (!without.ended() || !with.ended()) {
        without.look();
        with.look();
        line.show(without, with);
        if (stop_requested != 0) throw Interrupted{};
    }

    PairResult pair{without.result(), with.result()};
    if (const auto report = ReportLine::find(log.text(pair.with.pid), pair.with.pid)) {
        pair.diverted = report->number("diverted");
    } else if (pair.with.succeeded()) {
        pair.trouble = "the shim wrote no report";
    }
    for (const Result* result : {&pair.without, &pair.with}) {
        if (pair.trouble.empty()) pair.trouble = missing_preload(*result);
        if (pair.trouble.empty() && result->outcome != Outcome::hung && !result->succeeded()) {
            pair.trouble = describe(*result) + ": " + result->err.substr(0, result->err.find('\n'));
        }
    }
    return pair;
}

}  // namespace demo
