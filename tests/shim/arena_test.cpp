// SPDX-License-Identifier: Apache-2.0
// What the arena promises to one thread: places, sizes, contents, and what it gives back.
#include "shim/arena/arena.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "tests/shim/fresh_arena.h"

namespace unknot {
namespace {

using testing::fill;
using testing::FreshArena;
using testing::holds;
using testing::is_zero;
using testing::resident;

constexpr std::size_t mib = std::size_t{1} << 20;
constexpr std::size_t warm_bytes = 16 * chunk_size;  // what emptied chunks may keep, see arena.cpp

TEST(Arena, contains_nothing_before_its_first_block) {
    FreshArena fresh;
    int on_stack = 0;
    EXPECT_FALSE(fresh.arena.contains(nullptr));
    EXPECT_FALSE(fresh.arena.contains(&on_stack));
    EXPECT_FALSE(fresh.arena.contains(reinterpret_cast<void*>(UINTPTR_MAX)));
}

TEST(Arena, contains_its_blocks_and_nothing_else) {
    FreshArena fresh;
    int on_stack = 0;
    void* block = fresh.allocate(100);
    EXPECT_TRUE(fresh.arena.contains(block));
    EXPECT_TRUE(fresh.arena.contains(static_cast<char*>(block) + 99));
    EXPECT_FALSE(fresh.arena.contains(nullptr));
    EXPECT_FALSE(fresh.arena.contains(&on_stack));
    EXPECT_FALSE(fresh.arena.contains(&fresh));
    fresh.free(block);
}

// An address that ends a chunk, or the range, would belong to the neighbour.
TEST(Arena, gives_blocks_of_no_bytes_an_address_of_their_own) {
    FreshArena fresh;
    std::set<void*> seen;
    for (int i = 0; i < 10000; ++i) {
        void* block = fresh.allocate(0);
        ASSERT_TRUE(fresh.arena.contains(block));
        ASSERT_TRUE(seen.insert(block).second);
        ASSERT_GE(fresh.arena.usable_size(block), 1u);
    }
    for (void* block : seen) fresh.free(block);
    EXPECT_EQ(fresh.live_blocks(), 0u);
}

TEST(Arena, keeps_every_size_apart_and_whole) {
    FreshArena fresh;
    std::vector<std::pair<void*, std::size_t>> blocks;
    for (std::size_t size = 1; size < 3 * mib; size += 1 + size / 7) {
        void* block = fresh.allocate(size);
        ASSERT_NE(block, nullptr) << size;
        ASSERT_GE(fresh.arena.usable_size(block), size);
        ASSERT_LT(fresh.arena.usable_size(block), size + 16);
        fill(block, 0, fresh.arena.usable_size(block));
        blocks.emplace_back(block, size);
    }
    for (auto [block, size] : blocks) {
        EXPECT_TRUE(holds(block, fresh.arena.usable_size(block))) << size;
        fresh.free(block);
    }
    EXPECT_EQ(fresh.live_blocks(), 0u);
    EXPECT_EQ(fresh.live_bytes(), 0u);
}

TEST(Arena, aligns_to_every_power_of_two_up_to_64_mib) {
    FreshArena fresh;
    std::vector<std::pair<void*, std::size_t>> blocks;
    for (std::size_t alignment = 1; alignment <= 64 * mib; alignment *= 2) {
        for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{40}, std::size_t{5000},
                                       std::size_t{16384}, std::size_t{70000}}) {
            void* block = fresh.allocate(size, alignment);
            ASSERT_NE(block, nullptr) << size << " at " << alignment;
            ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignment, 0u);
            ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block) % 16, 0u);
            fill(block, 0, size);
            blocks.emplace_back(block, size);
        }
    }
    for (auto [block, size] : blocks) {
        EXPECT_TRUE(holds(block, size));
        fresh.free(block);
    }
    EXPECT_EQ(fresh.live_blocks(), 0u);
}

TEST(Arena, refuses_what_no_range_can_hold) {
    FreshArena fresh;
    EXPECT_EQ(fresh.allocate(SIZE_MAX), nullptr);
    EXPECT_EQ(fresh.allocate(SIZE_MAX - 15), nullptr);
    EXPECT_EQ(fresh.allocate(SIZE_MAX / 2, mib), nullptr);
    EXPECT_EQ(fresh.allocate(1, std::size_t{1} << 63), nullptr);
    EXPECT_EQ(fresh.allocate(Arena::default_limit + 1), nullptr);
    EXPECT_EQ(fresh.live_blocks(), 0u);
}

TEST(Arena, zeroes_after_dirty_reuse) {
    FreshArena fresh;
    for (int round = 0; round < 200; ++round) {
        std::vector<void*> blocks;
        for (std::size_t size : {16u, 100u, 4000u, 16384u, 20000u, 65000u, 65536u, 300000u}) {
            for (int i = 0; i < 3; ++i) {
                void* block = fresh.allocate(size + static_cast<std::size_t>(round) * 8, 16, Fill::zero);
                ASSERT_TRUE(is_zero(block, size + static_cast<std::size_t>(round) * 8))
                    << size << " in round " << round;
                std::memset(block, 0xff, fresh.arena.usable_size(block));
                blocks.push_back(block);
            }
        }
        for (void* block : blocks) fresh.free(block);
    }
    EXPECT_EQ(fresh.live_blocks(), 0u);
}

// To the end of the room: what is grown from there is zeroed by whoever grows it.
TEST(Arena, zeroes_all_that_is_usable) {
    FreshArena fresh;
    for (std::size_t size = 1; size < 400000; size += 1 + size / 5) {
        for (const std::size_t alignment : {std::size_t{16}, std::size_t{64}, std::size_t{8192}}) {
            void* dirty = fresh.allocate(size, alignment);
            std::memset(dirty, 0xee, fresh.arena.usable_size(dirty));
            fresh.free(dirty);
            void* zeroed = fresh.allocate(size, alignment, Fill::zero);
            EXPECT_TRUE(is_zero(zeroed, fresh.arena.usable_size(zeroed))) << size << " at " << alignment;
            fresh.free(zeroed);
        }
    }
}

TEST(Arena, zeroes_what_a_rolled_back_or_shrunk_block_left_behind) {
    FreshArena fresh;
    void* block = fresh.allocate(4000);
    std::memset(block, 0xff, 4000);
    fresh.resize(block, 16);
    void* zeroed = fresh.allocate(3000, 16, Fill::zero);
    EXPECT_TRUE(is_zero(zeroed, 3000));
    std::memset(zeroed, 0xff, 3000);
    fresh.free(zeroed);
    fresh.free(block);
    zeroed = fresh.allocate(8000, 64, Fill::zero);
    EXPECT_TRUE(is_zero(zeroed, 8000));
    fresh.free(zeroed);
}

TEST(Arena, zeroes_a_large_block_that_follows_a_shrunk_one) {
    FreshArena fresh;
    void* block = fresh.allocate(500000);
    std::memset(block, 0xff, 500000);
    ASSERT_TRUE(fresh.resize(block, 260000));
    fresh.free(block);
    void* zeroed = fresh.allocate(500000, 16, Fill::zero);
    EXPECT_TRUE(is_zero(zeroed, 500000));
    fresh.free(zeroed);
}

TEST(Arena, reuses_the_place_of_the_newest_block) {
    FreshArena fresh;
    void* keep = fresh.allocate(64);
    void* first = fresh.allocate(64);
    fresh.free(first);
    void* second = fresh.allocate(64);
    EXPECT_EQ(first, second);
    fresh.free(second);
    fresh.free(keep);
}

TEST(Arena, empties_its_chunk_in_place_when_every_block_came_back) {
    FreshArena fresh;
    std::set<std::uintptr_t> chunks;
    for (int i = 0; i < 100000; ++i) {
        void* a = fresh.allocate(100);
        void* b = fresh.allocate(100);
        chunks.insert(reinterpret_cast<std::uintptr_t>(a) / chunk_size);
        fresh.free(a);
        fresh.free(b);
    }
    EXPECT_LE(chunks.size(), 2u);  // the second, when the first ends between two blocks
}

TEST(Arena, recycles_chunks_and_gives_their_pages_back) {
    FreshArena fresh;
    std::vector<void*> blocks;
    for (int i = 0; i < 40000; ++i) {
        blocks.push_back(fresh.allocate(1000));
        std::memset(blocks.back(), 1, 1000);
    }
    EXPECT_GE(fresh.page.arena_committed, 40u * 1000 * 1000);
    for (void* block : blocks) fresh.free(block);
    EXPECT_GE(fresh.page.chunks_recycled, 600u);
    EXPECT_LE(fresh.page.arena_committed, warm_bytes + chunk_size);
    EXPECT_GE(fresh.page.arena_peak, 40u * 1000 * 1000);
    EXPECT_EQ(fresh.live_blocks(), 0u);
}

TEST(Arena, gives_the_pages_of_a_large_block_back_at_once) {
    FreshArena fresh;
    void* block = fresh.allocate(32 * mib);
    std::memset(block, 1, 32 * mib);
    EXPECT_GE(resident(block, 32 * mib), 32 * mib);
    fresh.free(block);
    EXPECT_EQ(resident(block, 32 * mib), 0u);
    EXPECT_EQ(fresh.page.arena_committed, 0u);
    EXPECT_EQ(fresh.large_blocks(), 1u);
}

// Without recycling 100 GiB of blocks would need three times the reservation.
TEST(Arena, does_not_use_address_space_up) {
    FreshArena fresh;
    for (int i = 0; i < 400000; ++i) {
        void* block = fresh.allocate(260000);
        ASSERT_NE(block, nullptr);
        fresh.free(block);
    }
    EXPECT_EQ(fresh.page.arena_committed, 0u);
}

TEST(Arena, serves_small_and_large_blocks_up_to_the_limit_and_again_after_they_are_freed) {
    for (int round = 0; round < 2; ++round) {
        FreshArena fresh(4 * mib);
        for (const std::size_t size : {std::size_t{48}, std::size_t{1000}, std::size_t{16384}, std::size_t{50000},
                                       std::size_t{300000}, 2 * mib, std::size_t{48}}) {
            std::vector<void*> blocks;
            while (void* block = fresh.allocate(size)) blocks.push_back(block);
            EXPECT_LE(fresh.page.arena_committed, 4 * mib);
            EXPECT_GE(blocks.size() * (size + 16), mib) << size;
            for (void* block : blocks) fresh.free(block);
            fresh.arena.retire(fresh.cursor);
        }
        EXPECT_EQ(fresh.live_blocks(), 0u);
    }
}

// 16 empty chunks that wait with their pages are as much as this limit allows.
TEST(Arena, lets_no_idle_chunk_stand_in_the_way_of_a_block) {
    FreshArena fresh(warm_bytes);
    fresh.cursor.in_stretch = true;
    std::vector<void*> blocks;
    while (void* block = fresh.allocate(4000)) blocks.push_back(block);
    for (void* block : blocks) fresh.free(block);
    EXPECT_EQ(fresh.page.arena_committed, warm_bytes);
    fresh.arena.retire(fresh.cursor);
    void* large = fresh.allocate(warm_bytes - 2 * chunk_size);
    ASSERT_NE(large, nullptr);
    std::memset(large, 1, warm_bytes - 2 * chunk_size);
    fresh.free(large);
}

TEST(Arena, does_not_let_small_remains_of_large_blocks_hold_the_address_space) {
    FreshArena fresh(64 * mib);
    std::vector<void*> blocks;
    std::size_t refused = 0;
    for (int i = 0; i < 1000; ++i) {
        void* block = fresh.allocate(100, 16 * mib);
        if (block == nullptr) {
            ++refused;
            continue;
        }
        blocks.push_back(block);
    }
    EXPECT_GT(refused, 0u);  // the limit says no before the range is used up ...
    for (void* block : blocks) fresh.free(block);
    for (std::size_t size = 100000; size < 60 * mib; size *= 2) {  // ... so that every size can still be had
        void* block = fresh.allocate(size);
        EXPECT_NE(block, nullptr) << size;
        if (block != nullptr) fresh.free(block);
    }
}

TEST(Arena, counts_live_blocks_and_bytes_exactly) {
    FreshArena fresh;
    void* small = fresh.allocate(100);
    void* large = fresh.allocate(100000);
    EXPECT_EQ(fresh.live_blocks(), 2u);
    EXPECT_EQ(fresh.live_bytes(), fresh.arena.usable_size(small) + fresh.arena.usable_size(large));
    ASSERT_TRUE(fresh.resize(large, 90000));
    EXPECT_EQ(fresh.live_bytes(), fresh.arena.usable_size(small) + fresh.arena.usable_size(large));
    fresh.free(small);
    fresh.free(large);
    EXPECT_EQ(fresh.live_blocks(), 0u);
    EXPECT_EQ(fresh.live_bytes(), 0u);
}

TEST(Arena, retires_a_chunk_that_blocks_outlive) {
    FreshArena fresh;
    void* block = fresh.allocate(100);
    fill(block, 0, 100);
    fresh.arena.retire(fresh.cursor);
    fresh.arena.retire(fresh.cursor);  // nothing left to retire
    EXPECT_EQ(fresh.page.chunks_recycled, 0u);
    EXPECT_TRUE(holds(block, 100));
    fresh.free(block);
    EXPECT_EQ(fresh.page.chunks_recycled, 1u);
}

}  // namespace
}  // namespace unknot
