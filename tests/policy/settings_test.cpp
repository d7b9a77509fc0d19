// SPDX-License-Identifier: Apache-2.0
// Text of the environment -> Settings: what is accepted, and one diagnosis for each bad value.
#include "policy/settings.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace unknot {
namespace {

struct Reading {
    Settings settings;
    std::vector<BadSetting> complaints;
};

Reading read(const std::map<std::string, std::string>& environment) {
    Reading reading;
    reading.settings = read_settings(
        [&](const char* variable) -> const char* {
            const auto found = environment.find(variable);
            return found == environment.end() ? nullptr : found->second.c_str();
        },
        [&](const BadSetting& bad) { reading.complaints.push_back(bad); });
    return reading;
}

// A good value: no complaint.
Settings accepted(const char* variable, const std::string& value) {
    const Reading reading = read({{variable, value}});
    EXPECT_TRUE(reading.complaints.empty()) << variable << "=" << value;
    return reading.settings;
}

// A bad value: one complaint that names the variable, the value, what would do and what happens now.
void refused(const std::string& variable, const std::string& value) {
    const Reading reading = read({{variable, value}});
    ASSERT_EQ(reading.complaints.size(), 1u) << variable << "=" << value;
    const BadSetting& bad = reading.complaints[0];
    EXPECT_EQ(bad.variable, variable);
    EXPECT_STRNE(bad.accepted, "");
    EXPECT_STRNE(bad.fallback, "");
    // Everything is as if the variable were not there.
    const Settings defaults;
    EXPECT_EQ(reading.settings.mode, defaults.mode);
    EXPECT_EQ(reading.settings.report, defaults.report);
    EXPECT_TRUE(reading.settings.log.is_stderr());
    EXPECT_EQ(reading.settings.arena_max.value, defaults.arena_max.value);
    EXPECT_EQ(reading.settings.arena_full, defaults.arena_full);
    EXPECT_EQ(reading.settings.walk, defaults.walk);
}

TEST(Settings, are_the_defaults_in_an_empty_environment) {
    const Reading reading = read({});
    EXPECT_TRUE(reading.complaints.empty());
    EXPECT_EQ(reading.settings.mode, Mode::automatic);
    EXPECT_EQ(reading.settings.report, ReportWhen::off);
    EXPECT_TRUE(reading.settings.log.is_stderr());
    EXPECT_EQ(reading.settings.arena_max.value, std::uint64_t{1} << 30);
    EXPECT_EQ(reading.settings.arena_full, ArenaFull::forward);
    EXPECT_EQ(reading.settings.walk, WalkMode::nonblocking);
}

TEST(Settings, name_a_default_that_their_own_parser_reads_as_the_default){
#define UNKNOT_SETTING(member, variable, type, value, text, accepted, help)                \
    {                                                                                      \
        type parsed{};                                                                     \
        const type expected = value;                                                       \
        EXPECT_TRUE(parse(text, parsed)) << variable;                                      \
        EXPECT_EQ(std::memcmp(&parsed, &expected, sizeof parsed), 0) << variable " " text; \
    }
#include "policy/settings.inc"
#undef UNKNOT_SETTING
}

TEST(Settings, have_different_variables_that_all_begin_alike) {
    std::set<std::string> variables;
#define UNKNOT_SETTING(member, variable, type, value, text, accepted, help) \
    EXPECT_TRUE(variables.insert(variable).second);                         \
    EXPECT_EQ(std::string(variable).rfind("UNKNOT_", 0), 0u);
#include "policy/settings.inc"
#undef UNKNOT_SETTING
    EXPECT_EQ(variables.size(), 7u);
}

TEST(Settings, read_the_mode) {
    EXPECT_EQ(accepted("UNKNOT_MODE", "auto").mode, Mode::automatic);
    EXPECT_EQ(accepted("UNKNOT_MODE", "protect").mode, Mode::protect);
    EXPECT_EQ(accepted("UNKNOT_MODE", "observe").mode, Mode::observe);
    EXPECT_EQ(accepted("UNKNOT_MODE", "off").mode, Mode::off);
    for (const char* bad : {"", "Protect", "protect ", " protect", "protec", "protected", "pass_through", "1"}) {
        refused("UNKNOT_MODE", bad);
    }
}

TEST(Settings, read_when_to_report) {
    EXPECT_EQ(accepted("UNKNOT_REPORT", "exit").report, ReportWhen::exit);
    EXPECT_EQ(accepted("UNKNOT_REPORT", "off").report, ReportWhen::off);
    for (const char* bad : {"", "on", "1", "EXIT"}) refused("UNKNOT_REPORT", bad);
}

TEST(Settings, read_what_a_full_arena_does) {
    EXPECT_EQ(accepted("UNKNOT_ARENA_FULL", "fail").arena_full, ArenaFull::fail);
    EXPECT_EQ(accepted("UNKNOT_ARENA_FULL", "forward").arena_full, ArenaFull::forward);
    for (const char* bad : {"", "abort", "Fail"}) refused("UNKNOT_ARENA_FULL", bad);
}

TEST(Settings, read_how_to_walk) {
    EXPECT_EQ(accepted("UNKNOT_WALK", "native").walk, WalkMode::native);
    EXPECT_EQ(accepted("UNKNOT_WALK", "nonblocking").walk, WalkMode::nonblocking);
    for (const char* bad : {"", "blocking", "non-blocking"}) refused("UNKNOT_WALK", bad);
}

TEST(Settings, read_bytes_with_and_without_a_unit) {
    const std::pair<const char*, std::uint64_t> good[] = {
        {"65536", std::uint64_t{65536}},         {"65537", std::uint64_t{65537}},
        {"64K", std::uint64_t{64} << 10},        {"64k", std::uint64_t{64} << 10},
        {"1M", std::uint64_t{1} << 20},          {"1m", std::uint64_t{1} << 20},
        {"3G", std::uint64_t{3} << 30},          {"3g", std::uint64_t{3} << 30},
        {"1024G", std::uint64_t{1} << 40},       {"1048576M", std::uint64_t{1} << 40},
        {"1073741824K", std::uint64_t{1} << 40}, {"1099511627776", std::uint64_t{1} << 40},
        {"000064K", std::uint64_t{64} << 10},
    };
    for (const auto& [text, bytes] : good) EXPECT_EQ(accepted("UNKNOT_ARENA_MAX", text).arena_max.value, bytes) << text;
}

TEST(Settings, refuse_bytes_that_are_no_number_too_few_or_too_many) {
    for (const char* bad : {"",
                            "K",
                            "G",
                            "-1",
                            "-64K",
                            "+64K",
                            " 64K",
                            "64K ",
                            "64 K",
                            "64KB",
                            "64KiB",
                            "0x10000",
                            "1e9",
                            "1.5G",
                            "64T",
                            "0",
                            "0G",
                            "1",
                            "65535",
                            "63K",
                            "1025G",
                            "1048577M",
                            "1073741825K",
                            "1099511627777",
                            "18446744073709551616",
                            "18446744073709551617",
                            "99999999999999999999999999",
                            "18446744073709551615G"}) {
        refused("UNKNOT_ARENA_MAX", bad);
    }
}

TEST(Settings, read_where_to_write) {
    EXPECT_TRUE(accepted("UNKNOT_LOG", "stderr").log.is_stderr());
    EXPECT_STREQ(accepted("UNKNOT_LOG", "/var/log/unknot.%p").log.path, "/var/log/unknot.%p");
    EXPECT_STREQ(accepted("UNKNOT_LOG", std::string(255, 'x')).log.path, std::string(255, 'x').c_str());
    refused("UNKNOT_LOG", std::string(256, 'x'));
    refused("UNKNOT_LOG", "");
}

TEST(Settings, diagnose_each_bad_value_once_and_keep_the_good_ones) {
    const Reading reading = read({{"UNKNOT_MODE", "protected"},
                                  {"UNKNOT_REPORT", "exit"},
                                  {"UNKNOT_ARENA_MAX", "much"},
                                  {"UNKNOT_WALK", "native"},
                                  {"UNKNOT_OTHER", "?"}});
    ASSERT_EQ(reading.complaints.size(), 2u);
    EXPECT_STREQ(reading.complaints[0].variable, "UNKNOT_MODE");
    EXPECT_STREQ(reading.complaints[0].accepted, "auto, protect, walks, observe or off");
    EXPECT_STREQ(reading.complaints[0].fallback, "auto");
    EXPECT_STREQ(reading.complaints[1].variable, "UNKNOT_ARENA_MAX");
    EXPECT_STREQ(reading.complaints[1].fallback, "1G");
    EXPECT_EQ(reading.settings.report, ReportWhen::exit);
    EXPECT_EQ(reading.settings.walk, WalkMode::native);
    EXPECT_EQ(reading.settings.mode, Mode::automatic);
}

// Nothing of it needs a running program.
constexpr Settings at_compile_time =
    read_settings([](const char* variable) { return same(variable, "UNKNOT_ARENA_MAX") ? "128M" : nullptr; },
                  [](const BadSetting&) {});
static_assert(at_compile_time.arena_max.value == std::uint64_t{128} << 20);

}  // namespace
}  // namespace unknot
