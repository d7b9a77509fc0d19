// SPDX-License-Identifier: Apache-2.0
// Who allocates under a loader lock: counted by the shim, named by the command.
#include "tests/cli/unknot_command.h"

namespace unknot::test {
namespace {

constexpr const char* plugin = "libcli_allocating_plugin.so";

Variables shim_in_mode(const char* mode) {
    return {{"LD_PRELOAD", built("libunknot.so") + ":libtcmalloc.so.4"}, {"UNKNOT_MODE", mode}};
}

nlohmann::json statistics_of(const Victim& victim) {
    return only_of(json_of(unknot({"stat", "--json", victim.id()})));
}

// The plug-in's 1000 blocks are counted one by one; what the loader itself diverts for it comes behind.
TEST(Callers, that_divert_most_come_first) {
    const Victim victim("cli_loads", shim_in_mode("protect"), {built(plugin), "stays"});
    const auto json = statistics_of(victim);
    const auto& callers = json["under_loader_lock"];
    ASSERT_FALSE(callers.empty());
    EXPECT_EQ(callers[0]["object"], plugin);
    EXPECT_EQ(callers[0]["function"], "build_tables");
    EXPECT_EQ(callers[0]["count"], 1000);
    EXPECT_EQ(callers[0]["place"].get<std::string>().find(std::string(plugin) + "+0x"), 0u);
    std::uint64_t sum = 0;
    for (const auto& each : callers) sum += each["count"].get<std::uint64_t>();
    EXPECT_LE(sum,
              json["counters"]["diverted"].get<std::uint64_t>() + json["counters"]["deferred"].get<std::uint64_t>());
}

TEST(Callers, are_named_in_every_form) {
    const Victim victim("cli_loads", shim_in_mode("protect"), {built(plugin), "stays"});
    const std::string heading = "under a loader lock: " + std::string(plugin) + " 1000 calls (",
                      line = "allocates or frees there: build_tables in " + std::string(plugin) + "+0x";
    for (const char* command : {"stat", "doctor"}) {
        const std::string text = unknot({command, victim.id()}).out;
        EXPECT_NE(text.find(heading), std::string::npos) << text;
        EXPECT_NE(text.find(line), std::string::npos) << text;
    }
    const std::string metrics = unknot({"stat", "--format", "openmetrics", victim.id()}).out;
    EXPECT_NE(metrics.find("unknot_calls_under_loader_lock{pid=\"" + victim.id() + "\",name=\"cli_loads\",object=\"" +
                           plugin + "\"} 1000\n"),
              std::string::npos)
        << metrics;
}

TEST(Callers, of_a_library_that_is_gone_are_known_by_its_name_alone) {
    const Victim victim("cli_loads", shim_in_mode("protect"), {built(plugin), "goes"});
    const auto callers = statistics_of(victim)["under_loader_lock"];
    ASSERT_FALSE(callers.empty());
    EXPECT_EQ(callers[0]["object"], plugin);
    EXPECT_EQ(callers[0]["function"], "");
    EXPECT_EQ(callers[0]["count"], 1000);
}

TEST(Callers, that_divert_most_are_reported_at_exit) {
    Variables variables = shim_in_mode("protect");
    variables.emplace_back("UNKNOT_REPORT", "exit");
    const process::Command command{
        {"/usr/bin/python3", "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", built(plugin)}, variables};
    const process::Result result = process::run(command, {std::chrono::minutes(5), std::chrono::minutes(10)});
    ASSERT_TRUE(result.succeeded()) << result.err;
    EXPECT_NE(result.err.find(std::string(" busiest_caller=") + plugin + "+0x"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find(" busiest_caller_calls=1000\n"), std::string::npos) << result.err;
}

TEST(Callers, are_not_looked_at_where_nothing_is_diverted) {
    for (const char* mode : {"off", "walks"}) {
        const Victim victim("cli_loads", shim_in_mode(mode), {built(plugin), "stays"});
        EXPECT_TRUE(statistics_of(victim)["under_loader_lock"].empty()) << mode;
    }
}

}  // namespace
}  // namespace unknot::test
