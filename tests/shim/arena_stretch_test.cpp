// SPDX-License-Identifier: Apache-2.0
// Within a stretch under a loader lock pages are kept for the next block of their size; after it they go back.
#include <gtest/gtest.h>

#include <vector>

#include "tests/shim/fresh_arena.h"

namespace unknot {
namespace {

using testing::FreshArena;
using testing::is_zero;

constexpr std::size_t mib = std::size_t{1} << 20;

// Minor page faults of this thread so far.
long faults() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt;
}

class ArenaStretch : public ::testing::Test {
  protected:
    void begin() { fresh_.cursor.in_stretch = true; }
    void end() { fresh_.arena.end_of_stretch(fresh_.cursor); }
    void take_and_free(std::size_t size, int at_a_time) {
        std::vector<void*> blocks;
        for (int i = 0; i < at_a_time; ++i) {
            blocks.push_back(fresh_.allocate(size));
            std::memset(blocks.back(), 1, size);
        }
        for (void* block : blocks) fresh_.free(block);
    }
    FreshArena fresh_;
};

struct Shape {
    std::size_t size;
    int at_a_time;
};
constexpr Shape shapes[] = {{20000, 1},   {20000, 10},  {33000, 4},   {60000, 10},  {65536, 3},   {200000, 1},
                            {300000, 30}, {1 * mib, 4}, {2 * mib, 3}, {8 * mib, 1}, {11 * mib, 1}};

TEST_F(ArenaStretch, faults_pages_in_once) {
    for (const auto& [size, at_a_time] : shapes) {
        begin();
        take_and_free(size, at_a_time);
        const long before = faults();
        for (int round = 0; round < 20; ++round) take_and_free(size, at_a_time);
        EXPECT_LE(faults() - before, 20) << at_a_time << " of " << size;
        end();
    }
}

// The thread's last span never sees the lists, whose entries and exits are counted.
TEST_F(ArenaStretch, has_a_thread_s_last_span_at_hand) {
    begin();
    for (const std::size_t size : {std::size_t{40000}, std::size_t{100000}}) {
        take_and_free(size, 1);
        const std::uint64_t before = fresh_.page.chunks_recycled;
        for (int round = 0; round < 20; ++round) take_and_free(size, 1);
        EXPECT_EQ(fresh_.page.chunks_recycled, before) << size;
        take_and_free(size, 2);
        EXPECT_GT(fresh_.page.chunks_recycled, before) << "nothing was counted";
    }
    end();
    EXPECT_LE(fresh_.page.arena_committed, Arena::kept_between);
}

// Whom nobody retires keeps nothing for itself.
TEST_F(ArenaStretch, leaves_a_fleeting_thread_no_span) {
    begin();
    fresh_.cursor.fleeting = true;
    const std::uint64_t before = fresh_.page.chunks_recycled;
    take_and_free(40000, 1);
    EXPECT_EQ(fresh_.page.chunks_recycled, before + 1);
    EXPECT_EQ(fresh_.cursor.spare, 0u);
}

// A handler that ends the stretch in the middle of an operation leaves the spare to whoever comes next.
TEST_F(ArenaStretch, ends_with_its_thread_although_it_is_over) {
    begin();
    take_and_free(40000, 1);
    fresh_.cursor.in_stretch = false;
    fresh_.arena.retire(fresh_.cursor);
    EXPECT_EQ(fresh_.cursor.spare, 0u);
}

TEST_F(ArenaStretch, gives_the_pages_back_at_its_end) {
    for (const auto& [size, at_a_time] : shapes) {
        begin();
        take_and_free(size, at_a_time);
        EXPECT_LE(fresh_.page.arena_committed, Arena::kept_in_stretch);
        end();
        EXPECT_LE(fresh_.page.arena_committed, Arena::kept_between) << at_a_time << " of " << size;
    }
}

TEST_F(ArenaStretch, keeps_no_more_than_its_bound) {
    begin();
    for (std::size_t size = 20000; size < 16 * mib; size += size / 3) take_and_free(size, 5);
    EXPECT_LE(fresh_.page.arena_committed, Arena::kept_in_stretch);
    end();
}

// Blocks that outlive the walk are freed by nobody's stretch.
TEST_F(ArenaStretch, is_over_for_blocks_that_are_freed_after_it) {
    begin();
    std::vector<void*> blocks;
    for (int i = 0; i < 30; ++i) {
        blocks.push_back(fresh_.allocate(300000));
        std::memset(blocks.back(), 1, 300000);
    }
    end();
    for (void* block : blocks) fresh_.free(block);
    EXPECT_EQ(fresh_.page.arena_committed, 0u);
}

TEST_F(ArenaStretch, zeroes_what_it_reuses) {
    begin();
    for (const std::size_t size : {std::size_t{20000}, std::size_t{40000}, std::size_t{300000}, 2 * mib, 6 * mib}) {
        for (int round = 0; round < 3; ++round) {
            void* block = fresh_.allocate(size + static_cast<std::size_t>(round) * 1000, 16, Fill::zero);
            EXPECT_TRUE(is_zero(block, size + static_cast<std::size_t>(round) * 1000)) << size;
            std::memset(block, 0xff, size);
            fresh_.free(block);
        }
    }
    end();
}

// What a widely aligned block needs begins elsewhere in its span.
TEST_F(ArenaStretch, gives_widely_aligned_blocks_what_they_need) {
    begin();
    for (const std::size_t before : {std::size_t{17000}, std::size_t{70000}, std::size_t{600000}, 3 * mib}) {
        for (std::size_t alignment = 32; alignment <= 2 * mib; alignment *= 2) {
            for (const std::size_t size : {std::size_t{100}, std::size_t{20000}, std::size_t{900000}}) {
                take_and_free(before, 2);
                void* block = fresh_.allocate(size, alignment);
                ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignment, 0u);
                std::memset(block, 1, fresh_.arena.usable_size(block));
                EXPECT_GE(fresh_.page.arena_committed, testing::resident(block, size));
                fresh_.free(block);
            }
        }
    }
    end();
    EXPECT_LE(fresh_.page.arena_committed, Arena::kept_between);
}

// Pages that wait are charged, so they must make room for a block that needs the charge.
TEST_F(ArenaStretch, stands_in_no_block_s_way) {
    fresh_.arena.set_limit(8 * mib);
    begin();
    take_and_free(300000, 20);
    for (const std::size_t size : {std::size_t{20000}, std::size_t{500000}, 3 * mib, 7 * mib}) {
        void* block = fresh_.allocate(size);
        EXPECT_NE(block, nullptr) << size;
        if (block != nullptr) fresh_.free(block);
    }
    end();
}

TEST_F(ArenaStretch, does_not_keep_its_thread_s_last_span_from_small_blocks) {
    fresh_.arena.set_limit(2 * chunk_size);
    begin();
    take_and_free(100000, 1);
    void* block = fresh_.allocate(1000);
    EXPECT_NE(block, nullptr);
    if (block != nullptr) fresh_.free(block);
    end();
}

TEST_F(ArenaStretch, ends_with_its_thread) {
    begin();
    take_and_free(300000, 30);
    fresh_.arena.retire(fresh_.cursor);
    EXPECT_EQ(fresh_.page.arena_committed, 0u);
}

// What a string does that grows by doubling.
TEST_F(ArenaStretch, lets_a_string_grow_without_asking_the_kernel) {
    begin();
    const auto grow = [this] {
        void* text = fresh_.allocate(64);
        for (std::size_t size = 128; size <= 64 * 1024; size *= 2) {
            void* longer = fresh_.arena.resize(fresh_.cursor, text, size);
            if (longer == nullptr) {
                longer = fresh_.allocate(size);
                std::memcpy(longer, text, size / 2);
                fresh_.free(text);
            }
            text = longer;
            static_cast<char*>(text)[size - 1] = 1;
        }
        fresh_.free(text);
    };
    grow();
    const long before = faults();
    for (int i = 0; i < 100; ++i) grow();
    EXPECT_LE(faults() - before, 20);
    end();
}

}  // namespace
}  // namespace unknot
