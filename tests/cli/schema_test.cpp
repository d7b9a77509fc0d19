// SPDX-License-Identifier: Apache-2.0
// Everything that is printed as JSON is what docs/unknot.schema.json says, by a validator that is not ours.
#include "tests/cli/unknot_command.h"

namespace unknot::test {
namespace {

void expect_valid(std::vector<std::string> arguments) {
    const std::string root = UNKNOT_SOURCE_DIR;
    arguments.insert(arguments.begin(), {"/usr/bin/python3", root + "/tests/cli/guards/json_schema",
                                         root + "/docs/unknot.schema.json", built("unknot")});
    const auto result = process::run({arguments}, {std::chrono::minutes(10), std::chrono::minutes(10)});
    if (result.code == 77) GTEST_SKIP() << "python3-jsonschema is not installed";
    EXPECT_EQ(result.code, 0) << result.out << result.err;
}

const Variables shimmed = {{"LD_PRELOAD", built("libunknot.so") + ":libtcmalloc.so.4"}};

TEST(Json, of_the_doctor_is_what_its_schema_says) {
    const Victim safe("cli_idle", shimmed), fine("cli_idle");
    const Victim dead("cli_stuck_loading", {}, {"joins", built("libcli_holds_loader_locks.so")});
    const Victim stuck("cli_stuck_loading", {}, {"reads_pipe", built("libcli_holds_loader_locks.so")});
    const std::string profiler = built("walkers/build_of_winter/libasyncProfiler.so");
    const Victim risky("cli_idle", {{"LD_PRELOAD", profiler + ":libtcmalloc.so.4"}});
    const Victim walks("cli_own_malloc", {{"LD_PRELOAD", built("libunknot_walks.so")}});
    expect_valid({"doctor", "--json", safe.id(), fine.id(), dead.id(), stuck.id(), risky.id(), walks.id()});
    expect_valid({"doctor", "--json", fine.id()});
    expect_valid({"doctor", "--json", "--", "true"});
    expect_valid({"doctor", "--json", "--all"});
}

TEST(Json, of_a_core_dump_is_what_its_schema_says) {
    const Folder folder;
    const Victim idle("cli_idle");
    const auto dumped = process::run({{"gcore", "-o", folder / "dump", idle.id()}, {}},
                                     {std::chrono::seconds(60), std::chrono::minutes(5)});
    if (!dumped.succeeded()) GTEST_SKIP() << "gcore, of gdb, is not installed";
    expect_valid({"doctor", "--json", "--core", folder / "dump." + idle.id()});
}

TEST(Json, of_the_watcher_is_what_its_schema_says) {
    const Victim risky("cli_idle", {{"LD_PRELOAD", "libtcmalloc.so.4"}, {"TCMALLOC_STACKTRACE_METHOD", ""}});
    const Victim dead("cli_stuck_loading", {}, {"joins", built("libcli_holds_loader_locks.so")});
    expect_valid({"watch", "--json", "--count", "3", "--interval", "1"});
}

TEST(Json, of_statistics_and_of_a_dry_run_is_what_its_schema_says) {
    const Victim safe("cli_idle", shimmed);
    expect_valid({"stat", "--json", safe.id()});
    expect_valid({"stat", "--json", "--watch", "0.1", "--count", "2", safe.id()});
    expect_valid({"stat", "--json", "--all"});
    expect_valid({"run", "--dry-run", "--json", "--", "true"});
}

}  // namespace
}  // namespace unknot::test
