// SPDX-License-Identifier: Apache-2.0
// Few blocks that outlive many do not hold the memory of all: their chunks are cut from again, or give their pages
// back.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/shim/fresh_arena.h"

namespace unknot {
namespace {

using testing::fill;
using testing::FreshArena;
using testing::holds;

constexpr std::size_t mib = std::size_t{1} << 20;

class ArenaRooms : public ::testing::Test {
  protected:
    struct Kept {
        void* block = nullptr;
        std::size_t size = 0;
    };
    void SetUp() override { fresh_.cursor.in_stretch = true; }

    std::uint64_t next_random() { return random_ = random_ * 6364136223846793005u + 1442695040888963407u; }
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(next_random() >> 33) % n; }

    void replace(Kept& kept, std::size_t size) {
        drop(kept);
        kept = {fresh_.allocate(size), size};
        ASSERT_NE(kept.block, nullptr);
        fill(kept.block, 0, size);
    }
    void drop(Kept& kept) {
        if (kept.block == nullptr) return;
        ASSERT_TRUE(holds(kept.block, kept.size));
        fresh_.free(kept.block);
        kept = {};
    }
    void expect_nothing_left(std::vector<Kept>& blocks) {
        for (Kept& kept : blocks) drop(kept);
        fresh_.arena.retire(fresh_.cursor);
        EXPECT_EQ(fresh_.live_blocks(), 0u);
        EXPECT_EQ(fresh_.live_bytes(), 0u);
        EXPECT_LE(fresh_.page.arena_committed, 16 * chunk_size);
    }

    FreshArena fresh_;
    std::uint64_t random_ = 1;
};

struct Mix {
    std::size_t smallest;
    std::size_t largest;
    std::size_t one_in;  // this many
};
constexpr Mix mixes[] = {{256, 256, 200}, {16, 16, 100}, {16, 1000, 200}, {1000, 4000, 50}, {100, 16000, 100}};

// A table grows under the lock, block by block, among many more that live for a moment.
TEST_F(ArenaRooms, keep_one_block_in_many_without_the_others) {
    for (const Mix& mix : mixes) {
        const auto size = [&] { return mix.smallest + below(mix.largest - mix.smallest + 1); };
        std::vector<Kept> kept(500);
        std::vector<Kept> momentary(64);
        for (std::size_t i = 0; i < 2 * kept.size() * mix.one_in; ++i) {
            replace(i % mix.one_in == 0 ? kept[i / mix.one_in % kept.size()] : momentary[i % momentary.size()], size());
        }
        EXPECT_LE(fresh_.page.arena_peak, 4 * fresh_.live_bytes() + mib) << mix.smallest << " to " << mix.largest;
        for (Kept& one : momentary) drop(one);
        expect_nothing_left(kept);
        fresh_.page.arena_peak = 0;
        fresh_.cursor.in_stretch = true;
    }
}

// A cache whose entries are replaced at random.
TEST_F(ArenaRooms, hold_a_cache_in_few_times_its_size) {
    std::vector<Kept> cache(5000);
    for (int i = 0; i < 300000; ++i) replace(cache[below(cache.size())], 16 + below(1008));
    EXPECT_LE(fresh_.page.arena_peak, 3 * fresh_.live_bytes() + mib);
    expect_nothing_left(cache);
}

// All at once, then all but a few go: in the walk or after it, in order or not, by this thread or by another.
TEST_F(ArenaRooms, give_the_pages_of_what_is_gone_back) {
    for (int variant = 0; variant < 16; ++variant) {
        const bool in_walk = (variant & 1) != 0;
        const bool shuffled = (variant & 2) != 0;
        const bool elsewhere = (variant & 4) != 0;
        const std::size_t size = (variant & 8) != 0 ? 256 : 40;
        ArenaCursor other{};
        fresh_.cursor.in_stretch = true;
        std::vector<Kept> all(32 * mib / (size + 16));
        for (Kept& one : all) one = {fresh_.allocate(size), size};
        if (!in_walk) fresh_.arena.end_of_stretch(fresh_.cursor);
        if (!in_walk) fresh_.arena.retire(fresh_.cursor);
        std::vector<Kept> kept;
        for (std::size_t i = 0; i < all.size(); i += 200) {
            std::swap(all[i], all.back());
            kept.push_back(all.back());
            fill(kept.back().block, 0, size);
            all.pop_back();
        }
        if (shuffled) {
            for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[below(i)]);
        }
        for (Kept& one : all) fresh_.arena.deallocate(elsewhere ? other : fresh_.cursor, one.block);
        fresh_.arena.end_of_stretch(fresh_.cursor);
        fresh_.arena.publish(other);
        // A page, or two where it lies across, for each of them.
        EXPECT_LE(fresh_.page.arena_committed, kept.size() * 2 * 4096 + 2 * mib) << "variant " << variant;
        std::size_t in_memory = 0;
        for (const Kept& one : kept) in_memory += testing::resident(one.block, 1);
        EXPECT_GE(fresh_.page.arena_committed + 4096, in_memory / 2) << "variant " << variant;
        expect_nothing_left(kept);
    }
}

// At the limit: what is live is little, so a block can be had.
TEST_F(ArenaRooms, stand_in_no_block_s_way) {
    fresh_.arena.set_limit(8 * mib);
    std::vector<Kept> kept;
    for (int round = 0; round < 40; ++round) {
        std::vector<void*> all;
        for (int i = 0; i < 20000; ++i) {
            void* block = fresh_.allocate(240);
            ASSERT_NE(block, nullptr) << "round " << round << ", " << kept.size() << " kept";
            if (i % 200 == 0) {
                fill(block, 0, 240);
                kept.push_back({block, 240});
            } else {
                all.push_back(block);
            }
        }
        for (void* block : all) fresh_.free(block);
        if (round % 2 == 1) fresh_.arena.end_of_stretch(fresh_.cursor);
        fresh_.cursor.in_stretch = true;
    }
    expect_nothing_left(kept);
}

TEST_F(ArenaRooms, are_zeroed_for_calloc) {
    std::vector<Kept> kept;
    for (int i = 0; i < 40000; ++i) {
        void* block = fresh_.allocate(200, 16, Fill::zero);
        ASSERT_TRUE(testing::is_zero(block, 200)) << i;
        std::memset(block, 0xff, 200);
        if (i % 100 == 0) {
            fill(block, 0, 200);
            kept.push_back({block, 200});
        } else if (i % 3 != 0) {
            fresh_.free(block);
        } else {
            kept.push_back({block, 0});
            if (kept.size() > 300) drop(kept[below(kept.size())]);
        }
    }
    expect_nothing_left(kept);
}

// A header that something wrote over ends the search for room: what lies behind it may be anybody's.
TEST_F(ArenaRooms, are_not_taken_for_what_a_stray_write_left) {
    std::vector<unsigned char*> blocks;
    for (int i = 0; i < 200; ++i) blocks.push_back(static_cast<unsigned char*>(fresh_.allocate(240)));
    for (unsigned char* block : blocks) fill(block, 0, 240);
    std::memset(blocks[20] - 16, 0, 16);  // a live block's header
    fresh_.arena.retire(fresh_.cursor);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        if (i % 20 != 0) fresh_.free(blocks[i]);
    }
    fresh_.cursor.in_stretch = true;
    for (int i = 0; i < 1000; ++i) {
        void* block = fresh_.allocate(200);
        std::memset(block, 0xee, 200);
    }
    for (std::size_t i = 0; i < blocks.size(); i += 20) EXPECT_TRUE(holds(blocks[i], 240)) << i;
}

// A thread that nobody tells the arena about when it ends: in the last round of key destructors, or without a key.
TEST_F(ArenaRooms, are_left_to_others_by_cursors_that_nobody_will_retire) {
    std::vector<Kept> kept;
    for (int thread = 0; thread < 5000; ++thread) {
        ArenaCursor fleeting{};
        fleeting.fleeting = true;
        for (int i = 0; i < 3; ++i) {
            const std::size_t size = 16 + below(500);
            void* block = fresh_.arena.allocate(fleeting, size, i == 2 ? 64 : 16);
            fill(block, 0, size);
            if (thread % 50 == 0) {
                kept.push_back({block, size});
            } else {
                fresh_.arena.deallocate(fleeting, block);
            }
        }
        EXPECT_EQ(fleeting.chunk, nullptr);
        fresh_.arena.publish(fleeting);
    }
    EXPECT_LE(fresh_.page.arena_peak, 20 * chunk_size);
    expect_nothing_left(kept);
}

}  // namespace
}  // namespace unknot
