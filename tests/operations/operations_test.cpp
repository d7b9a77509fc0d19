// SPDX-License-Identifier: Apache-2.0
// The operation fuzzer under every allocator: bare tcmalloc hangs in it, and nothing does behind the shim.
#include <gtest/gtest.h>

#include <cstdlib>

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

std::string seconds() {
    const char* given = std::getenv("UNKNOT_OPERATIONS_SECONDS");
    return given != nullptr ? given : "8";
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

TEST(Operations, hang_at_once_with_the_bare_allocator) {
    const Result result = run({{fuzzer, "1", "60"}, {{"LD_PRELOAD", "libtcmalloc.so.4"}, tcmalloc_samples}});
    EXPECT_EQ(result.outcome, Outcome::hung) << describe(result) << '\n' << last_line(result.out) << result.err;
}

// The fuzzer itself asks nothing that deadlocks: where nothing unwinds inside malloc it runs without the shim.
TEST(Operations, run_with_a_bare_allocator_that_does_not_unwind) {
    for (const char* bare : {"", "libtcmalloc_minimal.so.4"}) {
        const Result result = run({{fuzzer, "1", "3"}, {{"LD_PRELOAD", bare}}});
        EXPECT_TRUE(result.succeeded()) << bare << ' ' << describe(result) << '\n' << last_line(result.out);
    }
}

class Operations : public testing::TestWithParam<std::tuple<Allocator, bool>> {};

TEST_P(Operations, run_behind_the_shim) {
    const auto& [allocator, vendor] = GetParam();
    const LogFolder log;
    Command command{{fuzzer, "1", seconds(), "4", vendor ? "vendor" : "standard"},
                    {{"LD_PRELOAD", vendor ? preload_with_vendor(allocator) : preload(allocator)},
                     {"UNKNOT_MODE", "protect"},
                     {"UNKNOT_REPORT", "exit"},
                     {"UNKNOT_LOG", log.setting()},
                     tcmalloc_samples,
                     jemalloc_samples}};
    const Result result = run(command, Watch{.limit = std::chrono::hours(2)});
    ASSERT_TRUE(result.succeeded()) << describe(result) << '\n' << last_line(result.out) << '\n' << result.err;
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
