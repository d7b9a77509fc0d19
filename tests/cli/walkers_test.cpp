// SPDX-License-Identifier: Apache-2.0
// Tools that walk are known by what their files show: libraries of our own with the same symbols, texts and imports.
#include "cli/judge/walkers.h"

#include <algorithm>

#include "tests/cli/unknot_command.h"

namespace unknot::test {
namespace {

using cli::Habit;

std::vector<cli::Walker> walkers_in(const std::string& folder) {
    cli::Objects objects;
    for (const auto& entry : std::filesystem::directory_iterator(built("walkers/" + folder))) {
        cli::Object object;
        object.path = entry.path();
        object.file = cli::ElfFile::open(entry.path());
        EXPECT_NE(object.file, nullptr) << entry.path();
        objects.list.push_back(object);
    }
    EXPECT_EQ(objects.list.size(), 1u) << folder;
    return cli::walkers_of(objects);
}

struct Expected {
    const char* folder;
    const char* tool;
    const char* version;
    Habit habit;
};

void expect(std::initializer_list<Expected> rows) {
    for (const Expected& row : rows) {
        const auto found = walkers_in(row.folder);
        ASSERT_EQ(found.size(), 1u) << row.folder;
        EXPECT_EQ(found[0].tool, row.tool) << row.folder;
        EXPECT_EQ(found[0].version, row.version) << row.folder;
        EXPECT_EQ(cli::name_of(found[0].habit), cli::name_of(row.habit)) << row.folder << ": " << found[0].evidence;
        EXPECT_FALSE(found[0].evidence.empty()) << row.folder;
    }
}

TEST(AsyncProfiler, is_judged_by_what_it_does_in_a_walk) {
    expect({{"release_3_0", "async-profiler", "3.0", Habit::walks_not},
            {"release_2_9_not_stripped", "async-profiler", "2.9", Habit::walks_not},
            {"build_of_winter", "async-profiler", "3.0", Habit::allocates_in_walk},
            {"early_build_called_4_0", "async-profiler", "4.0", Habit::allocates_in_walk},
            {"release_4_5_not_stripped", "async-profiler", "4.5", Habit::allocates_not},
            {"renamed", "async-profiler", "3.0", Habit::allocates_in_walk}});
}

TEST(AsyncProfiler, is_judged_by_its_version_where_it_is_stripped) {
    expect({{"build_of_winter_stripped", "async-profiler", "3.0-1a2b3c4", Habit::allocates_in_walk},
            {"release_4_1", "async-profiler", "4.1", Habit::allocates_not},
            {"without_version_stripped", "async-profiler", "", Habit::may_allocate_in_walk},
            {"version_with_controls", "async-profiler", "3.0", Habit::allocates_in_walk}});
}

// A fork counts its versions itself.
TEST(AsyncProfiler, of_another_vendor_is_judged_by_its_symbols_alone) {
    expect({{"fork", "java-profiler, a fork of async-profiler", "", Habit::allocates_in_walk},
            {"fork_stripped", "java-profiler, a fork of async-profiler", "", Habit::may_allocate_in_walk}});
}

TEST(Walkers, are_told_by_their_symbols) {
    expect({{"heaptrack", "heaptrack", "", Habit::locks_around_walk},
            {"backtrace_malloc", "libbacktrace", "", Habit::allocates_in_walk},
            {"backtrace_mmap", "libbacktrace", "", Habit::allocates_not},
            {"rust", "Rust's backtrace", "", Habit::allocates_in_walk},
            {"memray", "memray", "", Habit::allocates_in_walk}});
    EXPECT_TRUE(walkers_in("plain").empty()) << "a library that nobody knows is no tool";
}

nlohmann::json examine_beside_tcmalloc(const std::string& folder) {
    const std::string library = built("walkers/" + folder + "/libasyncProfiler.so");
    const Victim victim("cli_idle",
                        {{"LD_PRELOAD", library + ":libtcmalloc.so.4"}, {"TCMALLOC_STACKTRACE_METHOD", ""}});
    return only_of(json_of(unknot({"doctor", "--json", victim.id()})));
}

bool says(const nlohmann::json& list, const std::string& key) {
    const auto keys = keys_of(list);
    return std::find(keys.begin(), keys.end(), key) != keys.end();
}

// Nobody who runs a harmless one is sent to upgrade it.
TEST(AsyncProfiler, is_to_be_upgraded_only_where_its_build_allocates_in_walks) {
    for (const auto& [folder, upgrade] : {std::pair("release_3_0", false), std::pair("build_of_winter_stripped", true),
                                          std::pair("release_4_5_not_stripped", false)}) {
        const auto found = examine_beside_tcmalloc(folder);
        EXPECT_EQ(found["verdict"], "at risk");
        EXPECT_EQ(says(found["advice"], "upgrade_async_profiler"), upgrade) << folder;
        EXPECT_EQ(says(found["reasons"], "walker_allocates"), upgrade) << folder;
    }
}

}  // namespace
}  // namespace unknot::test
