// SPDX-License-Identifier: Apache-2.0
// valgrind's memcheck over the conformance suite. Left alone memcheck would put its own malloc in the shim's place too;
// --soname-synonyms=somalloc=X confines it to libc, libstdc++ and the library X. So the shim stands between the program
// and memcheck's allocator, and memcheck sees what the shim does with every ordinary block: not one byte of it read or
// written while its free waits, freed once and by the function that fits, none forgotten. Arena blocks are memory like
// any other to memcheck: their contents, ends and number are the victims' own claims.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/doors/allocators.h"
#include "tests/process/child.h"
#include "tests/process/report_line.h"

namespace unknot::doors {

namespace {

using process::Command;
using process::describe;
using process::LogFolder;
using process::Outcome;
using process::ReportLine;
using process::Result;
using process::run;

constexpr int found_something = 9;
const std::string no_library = "nouserintercepts";  // memcheck's word for "in no other"

// What memcheck calls a leak. `every`: even a block to which a pointer is left.
enum class Leaks { every, lost };

Command memcheck(const std::string& replaced, Leaks leaks, const std::string& preloaded, std::vector<std::string> argv,
                 const LogFolder& log) {
    // This one never asks for nothing: a question of the shim's own would be seen.
    const std::string of_zero = argv[0] == "faults" ? "/dev/null" : UNKNOT_SUPPRESSIONS_OF_ZERO;
    argv[0] = library(argv[0]);
    const std::string kinds = leaks == Leaks::every ? "all" : "definite,indirect,possible";
    argv.insert(argv.begin(), {"valgrind", "--soname-synonyms=somalloc=" + replaced, "--leak-check=full",
                               "--error-exitcode=" + std::to_string(found_something), "--show-leak-kinds=" + kinds,
                               "--errors-for-leak-kinds=" + kinds, "--suppressions=" UNKNOT_SUPPRESSIONS,
                               "--suppressions=" + of_zero});
    // pvalloc: memcheck ends a process that calls it.
    return {argv,
            {{"LD_PRELOAD", preloaded},
             {"UNKNOT_MODE", "protect"},
             {"UNKNOT_STRETCH_MAX", "1024G"},  // every call is the arena's
             {"UNKNOT_REPORT", "exit"},
             {"UNKNOT_LOG", log.setting()},
             {"UNKNOT_WITHOUT_DOORS", "pvalloc"}}};
}

// "total heap usage: 1,234 allocs": how many blocks came from memcheck's allocator.
unsigned long blocks_of_memcheck(const std::string& text) {
    const std::string before = "total heap usage: ";
    const std::size_t at = text.find(before);
    if (at == std::string::npos) return 0;
    std::string number = text.substr(at + before.size(), 30);
    std::erase(number, ',');
    return std::stoul(number);
}

struct Counts {
    unsigned long memchecks;
    unsigned long diverted;
    unsigned long deferred;
};

Counts expect_clean(const Command& command, const LogFolder& log) {
    const Result result = run(command);
    EXPECT_TRUE(result.succeeded()) << describe(result) << '\n' << result.out << result.err;
    const auto report = ReportLine::find(log.text(result.pid), result.pid);
    EXPECT_TRUE(report) << "the shim was not there\n" << result.err;
    if (!report) return {};
    EXPECT_EQ(report->number("deferred"), report->number("drained"));
    return {blocks_of_memcheck(result.err), report->number("diverted"), report->number("deferred")};
}

std::string name(const std::string& what, const std::string& here, const std::string& there) {
    return what + "_allocated_" + here + "_freed_" + there;
}

class Memcheck : public testing::TestWithParam<std::tuple<const char*, const char*, const char*>> {};

TEST_P(Memcheck, finds_nothing) {
    const auto& [victim, here, there] = GetParam();
    const LogFolder log;
    const Counts counts =
        expect_clean(memcheck(no_library, Leaks::every, library("libunknot.so"), {victim, here, there}, log), log);
    const bool diverts = std::string_view(here) != "plain";
    const bool defers = !diverts && (std::string_view(there) == "walk" || std::string_view(there) == "constructor");
    // It has seen what it is here for.
    EXPECT_GT(diverts ? counts.diverted : counts.memchecks, 0u);
    if (defers && std::string_view(victim) == "every_door") {
        EXPECT_GT(counts.deferred, 100u);
    }
}

INSTANTIATE_TEST_SUITE_P(Places, Memcheck,
                         testing::Combine(testing::Values("every_door", "reallocations"),
                                          testing::Values("plain", "walk", "constructor"),
                                          testing::Values("plain", "thread", "walk", "constructor")),
                         [](const auto& one) {
                             return name(std::get<0>(one.param), std::get<1>(one.param), std::get<2>(one.param));
                         });

TEST(MemcheckOfContracts, finds_nothing) {
    const LogFolder log;
    const Counts counts = expect_clean(
        memcheck(no_library, Leaks::every, library("libunknot.so"), {"contracts", "walk", "memcheck"}, log), log);
    EXPECT_GT(counts.diverted, 10u);
}

// The program's allocator is a library of its own, with operators of its own: memcheck takes its place there. Their new
// and new[] may be one function, as tcmalloc's are, and memcheck takes the one for the other: which function fits is
// left to the runs above.
class MemcheckOfLinked : public testing::TestWithParam<Allocator> {};

TEST_P(MemcheckOfLinked, finds_nothing) {
    if (!is_installed(GetParam())) GTEST_SKIP() << "this system has no " << GetParam();
    const std::string victim = std::string("every_door_") + GetParam().name;
    for (const char* there : {"plain", "walk"}) {
        const LogFolder log;
        Command command = memcheck(std::string("lib") + GetParam().name + ".so.*", Leaks::lost, library("libunknot.so"),
                                   {victim, "plain", there}, log);
        command.argv.insert(command.argv.begin() + 1, "--show-mismatched-frees=no");
        const Counts counts = expect_clean(command, log);
        EXPECT_GT(counts.memchecks, 500u);
        if (there == std::string("walk")) {
            EXPECT_GT(counts.deferred, 500u);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Libraries, MemcheckOfLinked, testing::Values(tcmalloc, jemalloc, mimalloc),
                         [](const auto& one) { return std::string(one.param.name); });

// memcheck knows the vendors' own functions not, so here the allocator is the real one: what the doors themselves read
// and write.
class MemcheckOfVendor : public testing::TestWithParam<Allocator> {};

TEST_P(MemcheckOfVendor, finds_nothing) {
    if (!is_installed(GetParam())) GTEST_SKIP() << "this system has no " << GetParam();
    const std::string preloaded = preload_with_vendor(GetParam());
    for (const std::vector<std::string>& victim : std::vector<std::vector<std::string>>{
             {"vendor_calls", "walk"}, {"vendor_calls", "plain"}, {"reallocations", "walk", "plain", "vendor"}}) {
        const LogFolder log;
        const Counts counts = expect_clean(memcheck(no_library, Leaks::lost, preloaded, victim, log), log);
        EXPECT_GT(counts.diverted, 0u);
    }
}

INSTANTIATE_TEST_SUITE_P(Vendors, MemcheckOfVendor, testing::Values(tcmalloc, jemalloc, mimalloc),
                         [](const auto& one) { return std::string(one.param.name); });

// A program's faults are seen through the shim: or all of the above would prove nothing.
struct Fault {
    const char* name;
    const char* finding;
};

class MemcheckWatches : public testing::TestWithParam<Fault> {};

TEST_P(MemcheckWatches, and_reports) {
    const LogFolder log;
    const Result result =
        run(memcheck(no_library, Leaks::every, library("libunknot.so"), {"faults", GetParam().name}, log));
    EXPECT_EQ(describe(result), "exited " + std::to_string(found_something)) << result.err;
    EXPECT_NE(result.err.find(GetParam().finding), std::string::npos) << result.err;
}

INSTANTIATE_TEST_SUITE_P(Faults, MemcheckWatches,
                         testing::Values(Fault{"leak", "24 bytes in 1 blocks are definitely lost"},
                                         Fault{"overrun", "Invalid write of size 1"},
                                         Fault{"use_after_deferred_free", "Invalid read of size 1"},
                                         Fault{"wrong_pair", "Mismatched free() / delete"},
                                         Fault{"double_free", "Invalid free() / delete"},
                                         Fault{"free_that_never_runs", "24 bytes in 1 blocks are still reachable"}),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(MemcheckAccepts, a_program_without_a_fault) {
    const LogFolder log;
    const Counts counts =
        expect_clean(memcheck(no_library, Leaks::every, library("libunknot.so"), {"faults", "none"}, log), log);
    EXPECT_GE(counts.deferred, 1u);
}

}  // namespace

}  // namespace unknot::doors
