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
        ASSERT_TRUE(fresh.resize(block, size / 2));
        ASSERT_TRUE(holds(block, size / 2));
        ASSERT_EQ(fresh.resize(block, 0), size <= Arena::small_limit);
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
    void* block = fresh.allocate(8 * mib);  // a span of 16 MiB
    std::memset(block, 1, 8 * mib);
    const std::uint64_t before = fresh.page.arena_committed;
    ASSERT_TRUE(fresh.resize(block, 5 * mib));
    EXPECT_LE(resident(block, 8 * mib), 5 * mib + 8192);
    EXPECT_LE(fresh.page.arena_committed, before - 3 * mib);
    EXPECT_GE(fresh.page.arena_committed, resident(block, 8 * mib));
    fresh.free(block);
    EXPECT_EQ(fresh.page.arena_committed, 0u);
}

// What the process has of the block's memory in pages, headers and all.
class ShrunkBlocks : public ::testing::Test {
  protected:
    void* take(std::size_t size, std::size_t alignment = 16) {
        void* block = fresh_.allocate(size, alignment);
        EXPECT_NE(block, nullptr) << size;
        if (block != nullptr) fill(block, 0, size < 4096 ? size : 4096);
        return block;
    }
    void* shrink(void* block, std::size_t size) {
        void* left = fresh_.arena.resize(fresh_.cursor, block, size);
        EXPECT_NE(left, nullptr);
        EXPECT_TRUE(holds_moved(left, block, size < 4096 ? size : 4096));
        fill(left, 0, size < 4096 ? size : 4096);
        blocks_.push_back(left);
        return left;
    }
    void expect_charge_near_live_bytes() {
        EXPECT_LE(fresh_.page.arena_committed, fresh_.live_bytes() * 5 / 4 + blocks_.size() * 8192 + 20 * chunk_size);
    }
    void TearDown() override {
        for (void* block : blocks_) fresh_.free(block);
        fresh_.arena.retire(fresh_.cursor);
        EXPECT_EQ(fresh_.live_blocks(), 0u);
        EXPECT_EQ(fresh_.live_bytes(), 0u);
        EXPECT_LE(fresh_.page.arena_committed, 16 * chunk_size);
    }

    FreshArena fresh_;
    std::vector<void*> blocks_;

  private:
    // The pattern depends on the address at which it was written.
    static bool holds_moved(const void* now, const void* then, std::size_t bytes) {
        for (std::size_t at = 0; at < bytes; ++at) {
            if (static_cast<const unsigned char*>(now)[at] != testing::pattern(then, at)) return false;
        }
        return true;
    }
};

// A parser that asks for the most that a table may take, again and again: as many as the address space could never
// hold.
TEST_F(ShrunkBlocks, are_charged_with_what_they_keep_however_many_they_are) {
    for (int i = 0; i < 3000; ++i) shrink(take(64 * mib), 100000);
    expect_charge_near_live_bytes();
}

TEST_F(ShrunkBlocks, are_charged_with_what_they_keep_whatever_their_sizes) {
    for (std::size_t from = 20000; from < 40 * mib; from = from * 3 / 2) {
        for (std::size_t to = from; to > 8; to /= 3) shrink(take(from), to);
    }
    expect_charge_near_live_bytes();
}

TEST_F(ShrunkBlocks, are_charged_with_what_they_keep_in_any_order_of_growing_and_shrinking) {
    std::uint64_t random = 1;
    for (int i = 0; i < 400; ++i) {
        void* block = take(5000 + random % (4 * mib));
        for (int step = 0; step < 6; ++step) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            const std::size_t now = fresh_.arena.usable_size(block);
            const std::size_t wanted = (random >> 33) % (step % 2 == 0 ? now : 2 * now) + 1;
            if (void* left = fresh_.arena.resize(fresh_.cursor, block, wanted)) block = left;
        }
        blocks_.push_back(block);
    }
    expect_charge_near_live_bytes();
}

TEST_F(ShrunkBlocks, that_are_widely_aligned_are_charged_with_what_they_keep) {
    for (std::size_t alignment = 4096; alignment <= 64 * mib; alignment *= 2) {
        for (const std::size_t size : {std::size_t{100}, std::size_t{30000}, 3 * mib}) {
            blocks_.push_back(take(size, alignment));
            shrink(take(size, alignment), size / 9 + 1);
        }
    }
    expect_charge_near_live_bytes();
}

// The block stays a block of the chunk; what it gave up is free.
TEST_F(ShrunkBlocks, that_lie_in_a_chunk_give_their_room_to_it) {
    for (int i = 0; i < 100; ++i) {
        void* block = take(16000);
        blocks_.push_back(take(16));
        shrink(block, 16);
    }
    EXPECT_LE(fresh_.live_bytes(), 100u * 32);
    for (void* block : blocks_) fresh_.free(block);
    blocks_.clear();
    EXPECT_EQ(fresh_.live_bytes(), 0u);
}

TEST_F(ShrunkBlocks, that_lie_in_a_retired_or_foreign_chunk_keep_the_counts_right) {
    ArenaCursor other{};
    for (int i = 0; i < 50; ++i) {
        void* theirs = fresh_.arena.allocate(other, 5000);
        void* retired = take(5000);
        void* follows = take(16);
        if (i % 2 == 0) fresh_.arena.retire(fresh_.cursor);
        EXPECT_TRUE(fresh_.resize(theirs, 100));
        EXPECT_TRUE(fresh_.resize(retired, 100));
        blocks_.insert(blocks_.end(), {theirs, retired, follows});
    }
    fresh_.arena.retire(other);
    fresh_.arena.publish(other);
}

// Nothing can be had to move it to: then it stays where it is, and keeps only what it needs there.
TEST_F(ShrunkBlocks, shrink_where_they_are_when_there_is_no_room) {
    void* block = take(8 * mib);
    std::memset(block, 1, 8 * mib);
    fill(block, 0, 4096);
    fresh_.arena.set_limit(1);
    EXPECT_EQ(shrink(block, 100000), block);
    EXPECT_LE(fresh_.page.arena_committed, 102400u + 4096);
    EXPECT_LE(resident(block, 8 * mib), 102400u + 4096);
    fresh_.arena.set_limit(Arena::default_limit);
}

}  // namespace
}  // namespace unknot
