// SPDX-License-Identifier: Apache-2.0
// Threads that come and go, children of a fork, and a timer's signals: the counts are right when all is over.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <thread>
#include <vector>

#include "tests/shim/fresh_arena.h"

namespace unknot {
namespace {

using testing::fill;
using testing::FreshArena;
using testing::holds;

// Each thread leaves blocks behind, which others free long after its end.
TEST(ArenaThreads, leave_nothing_behind_when_they_end) {
    FreshArena fresh;
    constexpr int generations = testing::sanitized ? 50 : 500;
    std::vector<void*> left;
    for (int generation = 0; generation < generations; ++generation) {
        std::vector<std::vector<void*>> of_thread(4);
        std::vector<std::thread> threads;
        for (auto& mine : of_thread) {
            threads.emplace_back([&fresh, &mine] {
                ArenaCursor cursor{};
                for (std::size_t i = 0; i < 50; ++i) {
                    void* keep = fresh.arena.allocate(cursor, 100 + i * i);
                    void* drop = fresh.arena.allocate(cursor, 1000);
                    fill(keep, 0, 100);
                    fresh.arena.deallocate(cursor, drop);
                    mine.push_back(keep);
                }
                fresh.arena.retire(cursor);
                fresh.arena.publish(cursor);
            });
        }
        for (std::thread& thread : threads) thread.join();
        for (void* block : left) fresh.free(block);
        left.clear();
        for (auto& mine : of_thread) left.insert(left.end(), mine.begin(), mine.end());
        for (void* block : left) ASSERT_TRUE(holds(block, 100));
    }
    for (void* block : left) fresh.free(block);
    fresh.arena.retire(fresh.cursor);
    EXPECT_EQ(fresh.live_blocks(), 0u);
    EXPECT_EQ(fresh.live_bytes(), 0u);
    EXPECT_LE(fresh.page.arena_committed, 16 * chunk_size);
    EXPECT_LE(fresh.page.arena_peak, 64 * chunk_size) << "a chunk was lost with each thread";
}

// The children find the arena in whatever state the other threads had it in.
TEST(ArenaThreads, do_not_disturb_the_child_of_a_fork) {
    FreshArena fresh;
    testing::no_core_dumps();
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> rounds{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            ArenaCursor cursor{};
            void* blocks[16] = {};
            for (std::size_t at = 0; !stop.load(std::memory_order_relaxed); ++at) {
                void*& slot = blocks[at * 7 % 16];
                if (slot != nullptr) fresh.arena.deallocate(cursor, slot);
                slot = fresh.arena.allocate(cursor, at % 64 == 0 ? 40000 : 16 + at % 3000);
                rounds.fetch_add(1, std::memory_order_relaxed);
            }
            for (void* block : blocks) {
                if (block != nullptr) fresh.arena.deallocate(cursor, block);
            }
            fresh.arena.retire(cursor);
            fresh.arena.publish(cursor);
        });
    }
    void* from_before = fresh.allocate(5000);
    fill(from_before, 0, 5000);
    constexpr int forks = testing::sanitized ? 20 : 300;
    for (int i = 0; i < forks; ++i) {
        const std::uint64_t seen = rounds.load();
        while (rounds.load() < seen + 100) std::this_thread::yield();
        const pid_t child = fork();
        if (child == 0) {
            bool good = holds(from_before, 5000);
            fresh.free(from_before);
            std::array<void*, 60> blocks;
            for (std::size_t n = 0; n < blocks.size(); ++n) {
                blocks[n] = fresh.allocate(16 + n * 150);
                if (blocks[n] == nullptr) _exit(2);
                fill(blocks[n], 0, 16 + n * 150);
            }
            for (std::size_t n = 0; n < blocks.size(); ++n) {
                good = good && holds(blocks[n], 16 + n * 150);
                fresh.free(blocks[n]);
            }
            _exit(good ? 0 : 1);
        }
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_EQ(status, 0) << "fork " << i;
    }
    stop.store(true);
    for (std::thread& thread : threads) thread.join();
    fresh.free(from_before);
    EXPECT_EQ(fresh.live_blocks(), 0u);
}

// The handler and its thread share a cursor; each frees what the other made.
struct Shared {
    FreshArena fresh{std::size_t{64} << 20};
    std::array<std::atomic<void*>, 64> slots{};
    std::atomic<std::uint64_t> signals{0};
    std::atomic<std::uint64_t> in_the_middle{0};  // the handler found its thread inside an operation
    std::atomic<bool> broken{false};
    std::uint64_t seed = 1;

    void use_a_slot(std::uint64_t random) {
        const std::size_t size = random % 50 == 0 ? 30000 : 16 + random % 2000;
        void* block = fresh.allocate(size);
        if (block != nullptr) fill(block, 0, 16);
        block = slots[random / 64 % slots.size()].exchange(block);
        if (block == nullptr) return;
        if (!holds(block, 16)) broken = true;
        fresh.free(block);
    }
};
constinit Shared* shared = nullptr;

void on_timer(int) {
    if (shared->fresh.cursor.busy) ++shared->in_the_middle;
    for (std::uint64_t i = 0; i < 4; ++i) shared->use_a_slot((shared->signals++ + i) * 0x9e3779b97f4a7c15u >> 20);
}

TEST(ArenaThreads, survive_a_storm_of_timer_signals) {
    if (testing::sanitized) GTEST_SKIP() << "the runtime delays signals to places of its own choice";
    Shared here;
    shared = &here;
    struct sigaction handle {};
    struct sigaction before {};
    handle.sa_handler = on_timer;
    handle.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &handle, &before);
    const itimerval often{{0, 50}, {0, 50}};
    setitimer(ITIMER_REAL, &often, nullptr);
    // Progress, not time: until enough signals have hit the middle of an operation.
    for (std::uint64_t i = 0; here.in_the_middle.load() < 300; ++i) {
        here.use_a_slot(i * 0x9e3779b97f4a7c15u >> 20);
        if (i % 1024 == 0) here.fresh.arena.retire(here.fresh.cursor);
    }
    const itimerval never{};
    setitimer(ITIMER_REAL, &never, nullptr);
    sigaction(SIGALRM, &before, nullptr);
    EXPECT_FALSE(here.broken);
    for (auto& slot : here.slots) {
        if (void* block = slot.exchange(nullptr)) here.fresh.free(block);
    }
    here.fresh.arena.retire(here.fresh.cursor);
    EXPECT_EQ(here.fresh.live_blocks(), 0u);
    EXPECT_EQ(here.fresh.live_bytes(), 0u);
    EXPECT_LE(here.fresh.page.arena_committed, 16 * chunk_size);
}

}  // namespace
}  // namespace unknot
