// SPDX-License-Identifier: Apache-2.0
// Another libc: the shim passes through, says so in one line, and the program is none the wiser.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/process/child.h"
#include "tests/process/report_line.h"

namespace unknot::process {

namespace {

struct RunWithShim {
    Result result;
    std::string log;
};

RunWithShim run_with_shim(const char* mode) {
    const LogFolder log;
    Result result = run({{UNKNOT_MUSL_VICTIM},
                         {{"LD_PRELOAD", UNKNOT_MUSL_SHIM},
                          {"UNKNOT_MODE", mode},
                          {"UNKNOT_REPORT", "exit"},
                          {"UNKNOT_LOG", log.setting()}}});
    const std::string text = log.text(result.pid);
    return {std::move(result), text};
}

class Musl : public testing::TestWithParam<const char*> {};

TEST_P(Musl, runs_the_program_as_without_the_shim) {
    const Result bare = run({{UNKNOT_MUSL_VICTIM}, {{"LD_PRELOAD", ""}}});
    ASSERT_TRUE(bare.succeeded()) << describe(bare) << bare.err;
    ASSERT_NE(bare.out.find("7 in a child"), std::string::npos) << bare.out;
    const RunWithShim with = run_with_shim(GetParam());
    EXPECT_EQ(describe(with.result), describe(bare)) << with.log;
    EXPECT_EQ(with.result.out, bare.out);
    EXPECT_EQ(with.result.err, bare.err);
}

INSTANTIATE_TEST_SUITE_P(, Musl, testing::Values("auto", "protect", "observe", "off"),
                         [](const auto& test) { return std::string(test.param); });

TEST(MuslPassThrough, is_said_with_its_reason_in_one_line) {
    const RunWithShim with = run_with_shim("auto");
    EXPECT_NE(with.log.find("passing through: this libc is not glibc"), std::string::npos) << with.log;
    EXPECT_EQ(std::count(with.log.begin(), with.log.end(), '\n'), 2) << "that line and the report\n" << with.log;
    const auto report = ReportLine::find(with.log, with.result.pid);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->word("mode"), "pass_through");
    EXPECT_EQ(report->word("probe"), "none");
    EXPECT_EQ(report->number("deferred"), 0u);
}

TEST(MuslPassThrough, is_not_said_where_the_shim_is_off) {
    const RunWithShim with = run_with_shim("off");
    EXPECT_EQ(with.log.find("passing through"), std::string::npos) << with.log;
    EXPECT_TRUE(ReportLine::find(with.log, with.result.pid)) << with.log;
}

}  // namespace

}  // namespace unknot::process
