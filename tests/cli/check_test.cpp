// SPDX-License-Identifier: Apache-2.0
// `unknot check`: the deadlock on this system, without and with the shim; and what it says where the shim does not
// help.
#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "tests/cli/unknot_command.h"

namespace unknot::test {
namespace {

namespace fs = std::filesystem;

nlohmann::json row_named(const nlohmann::json& json, const std::string& name) {
    for (const auto& row : json.at("rows"))
        if (row.at("name") == name) return row;
    return {};
}

// It waits for hangs, a second each, and says nothing meanwhile when it is to print JSON: more patience than others
// need.
process::Result check(std::vector<std::string> arguments) {
    const char* other = std::getenv("UNKNOT_COMMAND");
    arguments.insert(arguments.begin(), {other != nullptr ? other : built("unknot"), "check"});
    return process::run({arguments}, {.quiet = std::chrono::minutes(1)});
}

TEST(Check, hangs_without_the_shim_and_runs_with_it) {
    const process::Result result = check({"--json"});
    const auto json = json_of(result);
    EXPECT_EQ(result.code, 0) << result.out;
    EXPECT_EQ(json["works"], true);
    EXPECT_EQ(json["probe"], "owner_words");
    for (const char* name : {"the check's own", "a fork beside a walk"}) {
        const auto row = row_named(json, name);
        EXPECT_EQ(row["without"], "hangs") << name;
        EXPECT_EQ(row["with"], "runs") << name;
    }
    const auto own = row_named(json, "the check's own");
    EXPECT_GT(own["diverted"], 0);
    EXPECT_GT(own["walks_from_snapshot"], 0);
    EXPECT_EQ(row_named(json, "libtcmalloc_minimal.so.4")["with"], "runs");
}

// A shim that does nothing: a library that only bears the name. The check has to notice.
TEST(Check, says_so_where_the_shim_does_not_work) {
    const Folder folder;
    fs::copy_file(built("libunknot_check.so"), folder / "libunknot_check.so");
    fs::copy_file(built("libcli_fake_page.so"), folder / "libunknot.so");
    const process::Result result = check({"--library", folder / "libunknot.so"});
    EXPECT_EQ(result.code, 1) << result.out;
    EXPECT_NE(result.out.find("DOES NOT WORK HERE"), std::string::npos) << result.out;
}

TEST(Check, wants_its_allocator_beside_the_library) {
    const Folder folder;
    fs::copy_file(built("libunknot.so"), folder / "libunknot.so");
    const process::Result result = check({"--library", folder / "libunknot.so"});
    EXPECT_EQ(result.code, 2);
    EXPECT_NE(result.err.find("libunknot_check.so"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("nothing was checked"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace unknot::test
