// SPDX-License-Identifier: Apache-2.0
// Does the shim do harm? Every victim runs bare, behind an interposer that only jumps on, and behind the shim in every
// mode, under each allocator: it ends the same way, says the same, and takes no more memory. README.md: how to add one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <iostream>
#include <string_view>

#include "tests/differential/victim.h"
#include "tests/process/child.h"
#include "tests/process/report_line.h"
#include "tests/process/system.h"

namespace unknot::differential {

std::string built(const std::string& name) {
    return UNKNOT_BINARY_DIR "/differential/" + name;
}

namespace {

using process::Outcome;
using process::Result;

#if defined(__aarch64__)
constexpr bool tcmalloc_unwinds = false;  // Debian's build for arm64 follows frame pointers
#else
constexpr bool tcmalloc_unwinds = true;
#endif

const Allocator allocators[] = {
    {"tcmalloc", "libtcmalloc.so.4", "tcmalloc", {}, tcmalloc_unwinds},
    {"tcmalloc_minimal", "libtcmalloc_minimal.so.4", "tcmalloc"},
    {"jemalloc", "libjemalloc.so.2", "jemalloc"},
    // Samples often enough for the short life of a victim.
    {"jemalloc_prof", "libjemalloc.so.2", "jemalloc", {{"MALLOC_CONF", "prof:true,lg_prof_sample:14"}}, true},
    {"mimalloc", UNKNOT_MIMALLOC, "mimalloc"},
    {"glibc", "", ""},
};

struct Mode {
    const char* name;
    const char* interposer;  // empty: none
    const char* unknot_mode;
};

constexpr Mode modes[] = {
    {"bare", "", ""},
    {"null", UNKNOT_BINARY_DIR "/libunknot_null.so", ""},
    {"off", UNKNOT_BINARY_DIR "/libunknot.so", "off"},
    {"observe", UNKNOT_BINARY_DIR "/libunknot.so", "observe"},
    {"auto", UNKNOT_BINARY_DIR "/libunknot.so", "auto"},
    {"protect", UNKNOT_BINARY_DIR "/libunknot.so", "protect"},
};

bool is_shim(const Mode& mode) {
    return mode.unknot_mode[0] != '\0';
}

const Except* find(const std::vector<Except>& exceptions, const Allocator& allocator) {
    for (const Except& exception : exceptions) {
        if (exception.allocator[0] == '\0' || exception.allocator == std::string_view(allocator.name))
            return &exception;
    }
    return nullptr;
}

std::string preloads(const Victim& victim, const Allocator& allocator, const Mode& mode) {
    std::string list;
    const auto add = [&list](const std::string& library) {
        if (!library.empty()) list += (list.empty() ? "" : " ") + library;
    };
    const auto ours_or_the_systems = [](const std::string& name) {
        return name.find(".so.") == std::string::npos ? built(name + ".so") : name;
    };
    for (const std::string& library : victim.before) add(ours_or_the_systems(library));
    add(mode.interposer);
    if (victim.vendor_doors && is_shim(mode))
        add(UNKNOT_BINARY_DIR "/libunknot_" + std::string(allocator.vendor) + ".so");
    for (const std::string& library : victim.behind) add(ours_or_the_systems(library));
    add(allocator.soname);
    return list;
}

struct Ran {
    Result result;
    std::string log;  // of the process that was started
};

// Twenty looks without progress, by which time a bystander has long gone to sleep: many rows hang by design, bare.
constexpr process::Watch watch{.quiet = std::chrono::seconds(1), .limit = std::chrono::minutes(1)};

Ran start(const Victim& victim, const Allocator& allocator, const Mode& mode) {
    const process::LogFolder log;
    process::Command command{.argv = victim.argv, .environment = victim.environment, .leaves = victim.files};
    if (command.argv[0].find('/') == std::string::npos) command.argv[0] = built(command.argv[0]);
    // Tests run beside each other.
    const auto of_this_allocator = [&allocator](std::string& text) {
        if (const std::size_t place = text.find("%a"); place != std::string::npos)
            text.replace(place, 2, allocator.name);
    };
    for (auto& [name, value] : command.environment) of_this_allocator(value);
    for (std::string& file : command.leaves) of_this_allocator(file);
    const auto give = [&command](const std::string& name, const std::string& value) {
        for (const auto& [given, unused] : command.environment) {
            if (given == name) return;
        }
        command.environment.emplace_back(name, value);
    };
    for (const auto& [name, value] : allocator.environment) give(name, value);
    give("UNKNOT_MODE", mode.unknot_mode);
    give("UNKNOT_LOG", is_shim(mode) ? log.setting() : "");
    give("LD_PRELOAD", preloads(victim, allocator, mode));
    // What the caller's shell has set must not reach the victims.
    for (const char* variable : {"UNKNOT_REPORT", "UNKNOT_WALK", "UNKNOT_ARENA_MAX", "UNKNOT_ARENA_FULL",
                                 "TCMALLOC_STACKTRACE_METHOD", "MALLOC_CONF", "LD_AUDIT"}) {
        give(variable, "");
    }
    Result result = process::run(command, watch);
    const pid_t pid = result.pid;
    return {std::move(result), log.text(pid)};
}

bool ended_as_it_should(const Victim& victim, const Result& result) {
    return victim.status >= 0 ? result.outcome == Outcome::exited && result.code == victim.status
                              : result.outcome == Outcome::killed && result.code == -victim.status;
}

// Where the victim breaks without the shim too, and this mode does not mend it.
bool may_break_so(const Victim& victim, const Allocator& allocator, const Mode& mode, const Result& result) {
    if (mode.name == std::string_view("null") && victim.null_breaks != nullptr) return true;
    const Except* breaks = find(victim.may_break, allocator);
    if (breaks == nullptr || result.outcome == Outcome::overdue) return false;
    const std::string_view name = mode.name;
    if (victim.cured && (name == "protect" || (name == "auto" && allocator.unwinds))) return false;
    return breaks->how == Breaks::fails || result.outcome == Outcome::hung;
}

using Case = std::pair<Victim, Allocator>;

class Differential : public testing::TestWithParam<Case> {};

// What is wrong with how it ended, what it said, or what it took; empty: nothing.
std::string complaint(const Victim& victim, const Allocator& allocator, const Mode& mode, const Ran& run,
                      const std::optional<Result>& expected) {
    const Result& result = run.result;
    const std::string_view name = mode.name;
    if (!ended_as_it_should(victim, result)) {
        if (may_break_so(victim, allocator, mode, result)) return {};
        return describe(result) + "\n" + result.out + result.err + run.log;
    }
    if (!expected || (name == "null" && victim.null_breaks != nullptr)) return {};
    std::string wrong;
    const bool must_say_the_same =
        victim.output == Output::same || (victim.output == Output::same_when_off && (!is_shim(mode) || name == "off"));
    if (must_say_the_same && result.out != expected->out) wrong += "says\n" + result.out + "not\n" + expected->out;
    if (must_say_the_same && victim.compares_errors && result.err != expected->err)
        wrong += "complains\n" + result.err + "not\n" + expected->err;
    if (victim.memory && result.peak_kb > expected->peak_kb + memory_allowance_kb)
        wrong += "takes " + std::to_string(result.peak_kb) + " kB, not " + std::to_string(expected->peak_kb) + "\n";
    return wrong;
}

// What bare takes varies with who gets a processor when; the most that it is seen to take is what it takes.
std::size_t most_bare_kb(const Victim& victim, const Allocator& allocator) {
    constexpr int looks = 6;
    std::size_t most = 0;
    for (int i = 0; i < looks; ++i) {
        const Ran bare = start(victim, allocator, modes[0]);
        if (ended_as_it_should(victim, bare.result)) most = std::max<std::size_t>(most, bare.result.peak_kb);
    }
    return most;
}

TEST_P(Differential, run_as_bare) {
    const auto& [victim, allocator] = GetParam();
    if (process::is_missing(allocator.soname)) GTEST_SKIP() << "this system has no " << allocator.name;
    std::size_t most_kb = 0;         // 0: not asked yet
    std::optional<Result> expected;  // of the first mode that came to its end: bare, wherever bare is sure to
    for (const Mode& mode : modes) {
        const Ran run = start(victim, allocator, mode);
        // The loader says so and goes on without: that would compare bare with bare.
        if (run.result.err.find("cannot be preloaded") != std::string::npos) GTEST_SKIP() << run.result.err;
        std::cout << victim.name << " on " << allocator.name << ", " << mode.name << ": " << describe(run.result)
                  << ", " << run.result.peak_kb << " kB" << std::endl;
        if (!expected && ended_as_it_should(victim, run.result)) expected = run.result;
        std::string wrong = complaint(victim, allocator, mode, run, expected);
        if (wrong.starts_with("takes ") && most_kb == 0) {
            most_kb = most_bare_kb(victim, allocator);
            expected->peak_kb = std::max<decltype(expected->peak_kb)>(expected->peak_kb, most_kb);
            wrong = complaint(victim, allocator, mode, run, expected);
        }
        EXPECT_TRUE(wrong.empty()) << "harmed: " << mode.name << ": " << wrong;
    }
}

// The judge itself: harm of every kind is seen.
TEST(DifferentialJudge, sees_harm) {
    const Victim victim{.name = "starts", .argv = {"starts"}};
    const Allocator glibc{"glibc", "", ""};
    const Ran bare = start(victim, glibc, modes[0]);
    ASSERT_TRUE(ended_as_it_should(victim, bare.result)) << describe(bare.result);
    const std::string harmful = built("harms.so");
    const auto complaint_about = [&](const char* harm) {
        const Mode mode{harm, harmful.c_str(), harm};
        return complaint(victim, glibc, mode, start(victim, glibc, mode), bare.result);
    };
    EXPECT_EQ(complaint_about("nothing"), "");
    for (const char* harm : {"hangs", "crashes", "exits", "says", "complains", "grows"})
        EXPECT_NE(complaint_about(harm), "") << harm;
}

// Rows that are likely to show what a change has broken, or the others.
std::vector<Case> cases(bool likely) {
    std::vector<Case> chosen;
    for (const auto& family :
         {fork_rows(), signal_rows(), long_stretch_rows(), memory_rows(), start_rows(), contract_rows()}) {
        for (const Victim& victim : family) {
            for (const Allocator& allocator : allocators) {
                if (victim.likely == likely && find(victim.leaves_out, allocator) == nullptr)
                    chosen.emplace_back(victim, allocator);
            }
        }
    }
    return chosen;
}

std::string name_of(const testing::TestParamInfo<Case>& which) {
    return std::string(which.param.first.name) + "_on_" + which.param.second.name;
}

INSTANTIATE_TEST_SUITE_P(likeliest, Differential, testing::ValuesIn(cases(true)), name_of);
INSTANTIATE_TEST_SUITE_P(others, Differential, testing::ValuesIn(cases(false)), name_of);

}  // namespace

}  // namespace unknot::differential
