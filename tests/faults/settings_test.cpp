// SPDX-License-Identifier: Apache-2.0
// Bad values of every setting: one line that names what was wrong, what is accepted and what happens now, and the
// program runs. In secure execution there are no settings.
#include "policy/settings.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "tests/faults/afflicted.h"

namespace unknot::faults {

namespace {

struct Setting {
    std::string variable;
    std::string fallback;
    std::string accepted;
};

std::vector<Setting> settings() {
    return {
#define UNKNOT_SETTING(member, variable, type, value, text, accepted, help) {variable, text, accepted},
#include "policy/settings.inc"
#undef UNKNOT_SETTING
    };
}

class BadSettings : public ::testing::TestWithParam<Setting> {};

// The values that no setting takes: nothing, too long a text (for a path too), and a line of its own.
TEST_P(BadSettings, are_named_in_one_line_and_cost_nothing) {
    const Setting& setting = GetParam();
    const std::string too_long(300, 'x');
    std::vector<std::pair<std::string, std::string>> values{{"", ""}, {too_long, std::string(100, 'x') + "..."}};
    if (setting.variable != "UNKNOT_LOG") {
        values.emplace_back("0", "0");
        values.emplace_back("two\nlines", "two?lines");
        values.emplace_back("-1", "-1");
        values.emplace_back("99999999999999999999999999", "99999999999999999999999999");
    }
    for (const auto& [value, shown] : values) {
        const process::Result result = run_afflicted({.variables = {{setting.variable, value}}});
        // The mode falls back to auto, which protects this allocator.
        EXPECT_EQ(result.code, 0) << story(result);
        EXPECT_EQ(result.out, "works protected\n") << story(result);
        EXPECT_EQ(lines(result.err),
                  (std::vector<std::string>{setting.variable + "=" + shown + " is not understood: expected " +
                                            setting.accepted + "; using " + setting.fallback}));
    }
}

INSTANTIATE_TEST_SUITE_P(Every, BadSettings, ::testing::ValuesIn(settings()),
                         [](const auto& one) { return one.param.variable; });

TEST(Settings, that_are_all_bad_make_a_line_each) {
    Variables variables;
    for (const Setting& setting : settings()) variables.emplace_back(setting.variable, "");
    const process::Result result = run_afflicted({.variables = variables});
    EXPECT_EQ(result.code, 0) << story(result);
    EXPECT_EQ(lines(result.err).size(), settings().size()) << result.err;
}

// The program brings the shim as a library: LD_PRELOAD is ignored there too.
TEST(Settings, are_ignored_in_secure_execution) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to differ from its real user";
    const std::string log = built("never-written.log");
    Affliction affliction{.program = {"works_linked_first"}, .preloads = false};
    affliction.variables = {{"UNKNOT_MODE", "nonsense"}, {"UNKNOT_REPORT", "exit"}, {"UNKNOT_LOG", log}};
    // Without it they are heard ...
    const process::Result heard = run_afflicted(affliction);
    EXPECT_NE(heard.err.find("UNKNOT_MODE=nonsense is not understood"), std::string::npos) << story(heard);
    EXPECT_EQ(access(log.c_str(), F_OK), 0);
    unlink(log.c_str());
    // ... and with it the process is protected as by default, in silence.
    affliction.faults = {"secure-execution"};
    const process::Result result = run_afflicted(affliction);
    EXPECT_EQ(result.code, 0) << story(result);
    EXPECT_EQ(result.out, "works protected\n") << story(result);
    EXPECT_EQ(result.err, "");
    EXPECT_NE(access(log.c_str(), F_OK), 0);
}

}  // namespace

}  // namespace unknot::faults
