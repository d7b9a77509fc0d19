// SPDX-License-Identifier: Apache-2.0
// Blocks that grow and shrink where they are.
#include <gtest/gtest.h>

#include "shim/arena/arena.h"
#include "tests/shim/fresh_arena.h"

namespace unknot {
namespace {

using testing::fill;
using testing::FreshArena;
using testing::holds;
using testing::resident;

constexpr std::size_t mib = std::size_t{1} << 20;

TEST(Arena, grows_the_newest_block_in_place) {
    FreshArena fresh;
    void* older = fresh.allocate(32);
    void* newest = fresh.allocate(32);
    EXPECT_FALSE(fresh.resize(older, 33));
    for (std::size_t size = 48; size <= 32768; size += 1000) {
        ASSERT_TRUE(fresh.resize(newest, size)) << size;
        ASSERT_GE(fresh.arena.usable_size(newest), size);
        fill(newest, 0, fresh.arena.usable_size(newest));
    }
    void* next = fresh.allocate(32);
    EXPECT_GE(static_cast<char*>(next), static_cast<char*>(newest) + fresh.arena.usable_size(newest));
    fill(next, 0, 32);
    EXPECT_TRUE(holds(newest, fresh.arena.usable_size(newest)));
    EXPECT_FALSE(fresh.resize(newest, 60000));
    fresh.free(next);
    fresh.free(older);
    fresh.free(newest);
    EXPECT_EQ(fresh.live_bytes(), 0u);
}

TEST(Arena, does_not_grow_the_newest_block_beyond_its_chunk) {
    FreshArena fresh;
    void* block = fresh.allocate(32);
    EXPECT_TRUE(fresh.resize(block, chunk_size - 16));
    EXPECT_FALSE(fresh.resize(block, chunk_size - 15));
    fresh.free(block);
}

TEST(Arena, does_not_grow_a_block_that_another_thread_cut) {
    FreshArena fresh;
    ArenaCursor other{};
    void* theirs = fresh.arena.allocate(other, 32);
    void* ours = fresh.allocate(32);
    EXPECT_FALSE(fresh.resize(theirs, 64));
    EXPECT_TRUE(fresh.resize(ours, 64));
    fresh.free(theirs);
    fresh.free(ours);
}

TEST(Arena, shrinks_without_moving_and_keeps_what_is_left) {
    FreshArena fresh;
    for (const std::size_t size : {std::size_t{1000}, std::size_t{16000}, std::size_t{300000}, 5 * mib}) {
        void* block = fresh.allocate(size);
        fill(block, 0, size);
        ASSERT_TRUE(fresh.resize(block, size / 3));
        ASSERT_TRUE(holds(block, size / 3));
        ASSERT_TRUE(fresh.resize(block, 0));
        ASSERT_GE(fresh.arena.usable_size(block), 1u);
        fresh.free(block);
    }
    EXPECT_EQ(fresh.live_bytes(), 0u);
}

TEST(Arena, grows_a_block_with_its_own_pages_within_its_span) {
    FreshArena fresh;
    void* block = fresh.allocate(300000);  // a span of 512 KiB
    fill(block, 0, 300000);
    void* neighbour = fresh.allocate(300000);
    fill(neighbour, 0, 300000);
    ASSERT_TRUE(fresh.resize(block, 500000));
    fill(block, 300000, 500000);
    EXPECT_FALSE(fresh.resize(block, 600000));
    EXPECT_TRUE(holds(block, 500000));
    EXPECT_TRUE(holds(neighbour, 300000));
    fresh.free(block);
    fresh.free(neighbour);
}

// Aligned so much that its header is not in the span's first chunk.
TEST(Arena, resizes_a_block_that_begins_inside_its_span) {
    FreshArena fresh;
    void* block = fresh.allocate(200000, mib);
    fill(block, 0, 200000);
    void* neighbour = fresh.allocate(200000, mib);
    fill(neighbour, 0, 200000);
    ASSERT_TRUE(fresh.resize(block, 400000));
    fill(block, 200000, 400000);
    EXPECT_FALSE(fresh.resize(block, 3 * mib));
    EXPECT_TRUE(holds(block, 400000));
    ASSERT_TRUE(fresh.resize(block, 1000));
    EXPECT_TRUE(holds(block, 1000));
    EXPECT_TRUE(holds(neighbour, 200000));
    fresh.free(block);
    fresh.free(neighbour);
    EXPECT_EQ(fresh.live_bytes(), 0u);
    EXPECT_EQ(fresh.page.arena_committed, 0u);
}

TEST(Arena, gives_the_pages_of_a_shrunk_block_back) {
    FreshArena fresh;
    void* block = fresh.allocate(8 * mib);
    std::memset(block, 1, 8 * mib);
    const std::uint64_t before = fresh.page.arena_committed;
    ASSERT_TRUE(fresh.resize(block, 100000));
    EXPECT_LE(resident(block, 8 * mib), 3 * chunk_size);
    EXPECT_LT(fresh.page.arena_committed, before);
    fresh.free(block);
    EXPECT_EQ(fresh.page.arena_committed, 0u);
}

}  // namespace
}  // namespace unknot
