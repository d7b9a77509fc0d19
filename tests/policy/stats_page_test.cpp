// SPDX-License-Identifier: Apache-2.0
// The statistics page as a reader in another process sees it: the layout is frozen, and the list of counters fits it.
#include "policy/stats_page.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

namespace unknot {
namespace {

struct Counter {
    const char* name;
    std::size_t offset;
    std::string unit;
    std::string help;
};

std::vector<Counter> counters() {
    return {
#define UNKNOT_COUNTER(name, unit, kind, help) {#name, offsetof(StatsPage, name), unit, help},
        UNKNOT_COUNTERS(UNKNOT_COUNTER)
#undef UNKNOT_COUNTER
    };
}

TEST(StatsPage, has_its_counters_one_after_the_other_from_byte_64) {
    std::size_t expected = 64;
    for (const Counter& counter : counters()) {
        EXPECT_EQ(counter.offset, expected) << counter.name;
        expected += 8;
    }
    EXPECT_EQ(counters().size(), stats_counters);
    EXPECT_LE(counters().size(), 64u) << "no room is left before the witness records";
}

// Whoever wrote a reader against the first version still finds these there.
TEST(StatsPage, keeps_the_counters_of_its_first_version_in_place) {
    const char* first[] = {"walks",
                           "walks_in_allocator",
                           "walks_from_snapshot",
                           "averted",
                           "diverted",
                           "diverted_bytes",
                           "deferred",
                           "drained",
                           "forwarded",
                           "failed",
                           "observed",
                           "healed",
                           "arena_live_blocks",
                           "arena_live_bytes",
                           "arena_committed",
                           "arena_peak",
                           "arena_reserved",
                           "arena_limit",
                           "chunks_recycled",
                           "large_blocks",
                           "snapshot_generation"};
    const std::vector<Counter> now = counters();
    ASSERT_GE(now.size(), std::size(first));
    for (std::size_t i = 0; i < std::size(first); ++i) EXPECT_STREQ(now[i].name, first[i]);
}

TEST(StatsPage, says_of_every_counter_what_it_counts) {
    std::set<std::string> names;
    for (const Counter& counter : counters()) {
        EXPECT_TRUE(names.insert(counter.name).second) << counter.name;
        EXPECT_TRUE(counter.unit == "count" || counter.unit == "bytes") << counter.name;
        EXPECT_GT(counter.help.size(), 10u) << counter.name;
    }
}

TEST(StatsPage, is_read_byte_by_byte_as_it_was_written) {
    StatsPage page{};
    std::memcpy(page.magic, stats_magic, sizeof stats_magic);
    page.version = stats_version;
    page.size = sizeof page;
    page.diverted = 0x1122334455667788;
    unsigned char bytes[sizeof page];
    std::memcpy(bytes, &page, sizeof page);
    EXPECT_EQ(std::memcmp(bytes, "UNKNOT\0\1", 8), 0);
    EXPECT_EQ(bytes[8], 1);  // the version
    EXPECT_EQ(bytes[64 + 4 * 8], 0x88);
    EXPECT_EQ(bytes[64 + 4 * 8 + 7], 0x11);
}

TEST(StatsPage, fits_into_one_page) {
    EXPECT_LE(sizeof(StatsPage), 4096u);
    EXPECT_EQ(offsetof(StatsPage, under_loader_lock), 64u + 64 * 8);
    EXPECT_EQ(sizeof(StatsPage::under_loader_lock), witness_records * sizeof(WitnessRecord));
}

TEST(StatsPage, has_flags_that_do_not_overlap) {
    const auto bits = {StatsFlag::not_on_path, StatsFlag::wrong_order, StatsFlag::static_reserve};
    std::uint32_t all = 0;
    for (const StatsFlag flag : bits) {
        EXPECT_EQ(all & static_cast<std::uint32_t>(flag), 0u);
        all |= static_cast<std::uint32_t>(flag);
    }
}

}  // namespace
}  // namespace unknot
