// SPDX-License-Identifier: Apache-2.0
// The operation fuzzer under every allocator: bare tcmalloc hangs in it, and nothing does behind the shim. A run takes
// a minute; for an hour each, and for another seed than 1:
//   UNKNOT_OPERATIONS_SECONDS=3600 UNKNOT_OPERATIONS_SEED=7 ctest --preset release -R Operations --verbose
// UNKNOT_OPERATIONS_WITHOUT (operations.cpp) reaches the fuzzer too.
#include <gtest/gtest.h>

#include <charconv>
#include <cstdlib>
#include <iostream>

#include "tests/doors/allocators.h"
#include "tests/process/child.h"
#include "tests/process/report_line.h"

namespace unknot::operations {

namespace {

using doors::Allocator;
using process::Command;
using process::describe;
using process::LogFolder;
using process::Outcome;
using process::ReportLine;
using process::Result;
using process::run;
using process::Watch;

const std::string fuzzer = doors::library("operations");

constexpr unsigned long long most_seconds = 86'400;  // CMakeLists.txt allows a little more

// A whole number from the environment.
unsigned long long setting(const char* name, unsigned long long otherwise, unsigned long long largest) {
    const char* given = std::getenv(name);
    if (given == nullptr) return otherwise;
    const std::string_view text = given;
    unsigned long long value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value <= largest) return value;
    std::cerr << name << '=' << given << " is not a whole number up to " << largest << "; nothing was run\n";
    std::exit(2);
}

const auto seconds = setting("UNKNOT_OPERATIONS_SECONDS", 60, most_seconds);
const auto seed = setting("UNKNOT_OPERATIONS_SEED", 1, 1'000'000'000);

std::vector<std::string> fuzz(unsigned long long for_seconds, bool vendor = false) {
    return {fuzzer, std::to_string(seed), std::to_string(for_seconds), "4", vendor ? "vendor" : "standard"};
}

std::string last_line(const std::string& text) {
    const std::size_t end = text.find_last_not_of('\n');
    if (end == std::string::npos) return "(no output)";
    const std::size_t start = text.find_last_of('\n', end);
    return text.substr(start == std::string::npos ? 0 : start + 1, end - start);
}

// Sampling keeps tcmalloc and jemalloc unwinding when the heap no longer grows.
const std::pair<std::string, std::string> tcmalloc_samples{"TCMALLOC_SAMPLE_PARAMETER", "100000"};
const std::pair<std::string, std::string> jemalloc_samples{"MALLOC_CONF", "prof:true,lg_prof_sample:14"};

// The command line that runs it again by hand.
std::string again(const Command& command) {
    std::string line = "again: env";
    for (const auto& [variable, value] : command.environment) {
        if (variable != "UNKNOT_LOG") line += " " + variable + "='" + value + "'";  // its folder is gone
    }
    for (const std::string& word : command.argv) line += " " + word;
    return line;
}

std::string tell(const Command& command, const Result& result) {
    return describe(result) + '\n' + last_line(result.out) + '\n' + result.err + again(command) + '\n';
}

TEST(Operations, hang_at_once_with_the_bare_allocator) {
    const Command command{fuzz(60), {{"LD_PRELOAD", "libtcmalloc.so.4"}, tcmalloc_samples}};
    const Result result = run(command);
    EXPECT_EQ(result.outcome, Outcome::hung) << tell(command, result);
}

// mimalloc 3.0.1 (Debian 13): aligned blocks change by themselves, without the shim and in a single thread.
bool changes_blocks(const Allocator& allocator) {
    return std::string_view(allocator.library) == "libmimalloc.so.3";
}

// The fuzzer itself asks nothing that deadlocks or breaks: where nothing unwinds inside malloc it runs without the
// shim, with the vendor's own doors too. jemalloc has no pvalloc, and libc's is no good beside it.
TEST(Operations, run_with_a_bare_allocator_that_does_not_unwind) {
    for (const Allocator& allocator : {doors::glibc, doors::tcmalloc_minimal, doors::jemalloc, doors::mimalloc}) {
        if (!is_installed(allocator) || changes_blocks(allocator)) continue;  // the run behind the shim says so
        const Command command{fuzz(3, true), {{"LD_PRELOAD", allocator.library}, {"UNKNOT_WITHOUT_DOORS", "pvalloc"}}};
        const Result result = run(command);
        EXPECT_TRUE(result.succeeded()) << tell(command, result);
    }
}

class Operations : public testing::TestWithParam<std::tuple<Allocator, bool>> {};

TEST_P(Operations, run_behind_the_shim) {
    const auto& [allocator, vendor] = GetParam();
    if (!is_installed(allocator)) GTEST_SKIP() << "this system has no " << allocator;
    if (changes_blocks(allocator)) GTEST_SKIP() << "this " << allocator << " changes blocks without the shim";
    const LogFolder log;
    const Command command{fuzz(seconds, vendor),
                          {{"LD_PRELOAD", vendor ? preload_with_vendor(allocator) : preload(allocator)},
                           {"UNKNOT_MODE", "protect"},
                           {"UNKNOT_REPORT", "exit"},
                           {"UNKNOT_LOG", log.setting()},
                           tcmalloc_samples,
                           jemalloc_samples}};
    const Result result = run(command, Watch{.limit = std::chrono::seconds(seconds) + std::chrono::minutes(10)});
    ASSERT_TRUE(result.succeeded()) << tell(command, result);
    const auto report = ReportLine::find(log.text(result.pid), result.pid);
    ASSERT_TRUE(report);
    EXPECT_GT(report->number("diverted"), 1000u);
    EXPECT_GT(report->number("deferred"), 100u);
    EXPECT_EQ(report->number("deferred"), report->number("drained"));
    EXPECT_EQ(report->number("forwarded"), 0u);
    std::cout << last_line(result.out) << '\n';
}

std::string name_of(const testing::TestParamInfo<std::tuple<Allocator, bool>>& info) {
    const auto& [allocator, vendor] = info.param;
    return std::string(allocator.name) + (vendor ? "_with_its_own_doors" : "");
}

INSTANTIATE_TEST_SUITE_P(Allocators, Operations,
                         testing::Combine(testing::ValuesIn(doors::allocators), testing::Values(false)), name_of);
INSTANTIATE_TEST_SUITE_P(Vendors, Operations,
                         testing::Combine(testing::Values(doors::tcmalloc, doors::jemalloc, doors::mimalloc),
                                          testing::Values(true)),
                         name_of);

}  // namespace

}  // namespace unknot::operations
