// SPDX-License-Identifier: Apache-2.0
// Deferred frees as the slow path uses them: records in the arena, pushed by anyone, taken all at once by anyone.
#include "shim/doors/deferred_frees.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/shim/fresh_arena.h"

namespace unknot {
namespace {

using testing::FreshArena;

DeferredFree* record_of(FreshArena& fresh, ArenaCursor& cursor, std::uintptr_t number) {
    auto* record = static_cast<DeferredFree*>(fresh.arena.allocate(cursor, sizeof(DeferredFree)));
    record->call = {.pointer = reinterpret_cast<void*>(number), .row = DeallocationRow::free};
    return record;
}

TEST(DeferredFrees, are_empty_at_first_and_after_they_were_taken) {
    FreshArena fresh;
    DeferredFrees frees;
    EXPECT_TRUE(frees.empty());
    EXPECT_EQ(frees.take_all(), nullptr);
    DeferredFree* record = record_of(fresh, fresh.cursor, 1);
    frees.push(record);
    EXPECT_FALSE(frees.empty());
    EXPECT_EQ(frees.take_all(), record);
    EXPECT_EQ(record->next, nullptr);
    EXPECT_TRUE(frees.empty());
    fresh.free(record);
}

TEST(DeferredFrees, come_back_in_the_order_in_which_they_were_deferred) {
    FreshArena fresh;
    DeferredFrees frees;
    for (std::uintptr_t i = 0; i < 1000; ++i) frees.push(record_of(fresh, fresh.cursor, i));
    std::uintptr_t expected = 0;
    for (DeferredFree* record = frees.take_all(); record != nullptr;) {
        DeferredFree* next = record->next;
        EXPECT_EQ(record->call.pointer, reinterpret_cast<void*>(expected++));
        fresh.free(record);
        record = next;
    }
    EXPECT_EQ(expected, 1000u);
    EXPECT_EQ(fresh.live_blocks(), 0u);
}

TEST(DeferredFrees, keep_the_whole_call) {
    FreshArena fresh;
    DeferredFrees frees;
    DeferredFree* record = record_of(fresh, fresh.cursor, 0);
    record->call = {.pointer = &fresh, .row = DeallocationRow::delete_sized_aligned, .size = 640, .alignment = 64};
    frees.push(record);
    const Deallocation call = frees.take_all()->call;
    EXPECT_EQ(call.pointer, &fresh);
    EXPECT_EQ(call.row, DeallocationRow::delete_sized_aligned);
    EXPECT_EQ(call.size, 640u);
    EXPECT_EQ(call.alignment, 64u);
    fresh.free(record);
}

// Threads end while the list holds their records: those are nobody's and everybody's.
TEST(DeferredFrees, outlive_the_thread_that_deferred_them) {
    FreshArena fresh;
    DeferredFrees frees;
    constexpr std::uintptr_t threads = testing::sanitized ? 50 : 500;
    for (std::uintptr_t i = 0; i < threads; ++i) {
        std::thread([&] {
            ArenaCursor cursor{};
            frees.push(record_of(fresh, cursor, i));
            fresh.arena.retire(cursor);
            fresh.arena.publish(cursor);
        }).join();
    }
    std::uintptr_t taken = 0;
    for (DeferredFree* record = frees.take_all(); record != nullptr; ++taken) {
        DeferredFree* next = record->next;
        fresh.free(record);
        record = next;
    }
    EXPECT_EQ(taken, threads);
    EXPECT_EQ(fresh.live_blocks(), 0u);
}

TEST(DeferredFrees, are_taken_once_each_whoever_pushes_and_takes) {
    FreshArena fresh;
    DeferredFrees frees;
    constexpr std::uintptr_t pushers = 3;
    constexpr std::uintptr_t each = testing::sanitized ? 20000 : 300000;
    std::vector<std::atomic<unsigned char>> taken(pushers * each);
    std::atomic<std::uintptr_t> left{pushers * each};
    std::atomic<bool> disordered{false};
    std::vector<std::thread> threads;
    for (std::uintptr_t pusher = 0; pusher < pushers; ++pusher) {
        threads.emplace_back([&, pusher] {
            ArenaCursor cursor{};
            for (std::uintptr_t i = 0; i < each; ++i) frees.push(record_of(fresh, cursor, pusher * each + i));
            fresh.arena.retire(cursor);
            fresh.arena.publish(cursor);
        });
    }
    for (int taker = 0; taker < 2; ++taker) {
        threads.emplace_back([&] {
            ArenaCursor cursor{};
            while (left.load(std::memory_order_relaxed) != 0) {
                std::uintptr_t last[pushers] = {};
                for (DeferredFree* record = frees.take_all(); record != nullptr;) {
                    DeferredFree* next = record->next;
                    const auto number = reinterpret_cast<std::uintptr_t>(record->call.pointer);
                    if (number < last[number / each]) disordered = true;
                    last[number / each] = number;
                    taken[number].fetch_add(1, std::memory_order_relaxed);
                    fresh.arena.deallocate(cursor, record);
                    left.fetch_sub(1, std::memory_order_relaxed);
                    record = next;
                }
            }
            fresh.arena.retire(cursor);
            fresh.arena.publish(cursor);
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_FALSE(disordered);
    for (const auto& times : taken) ASSERT_EQ(times.load(), 1);
    EXPECT_TRUE(frees.empty());
    EXPECT_EQ(fresh.live_blocks(), 0u);
}

}  // namespace
}  // namespace unknot
