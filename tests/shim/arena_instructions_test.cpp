// SPDX-License-Identifier: Apache-2.0
// Guards the price of a diverted block in instructions, counted one by one with the processor's trap flag: what a
// thread does under the loader lock everybody else waits for.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/shim/fresh_arena.h"

namespace unknot {
namespace {

using testing::FreshArena;

constinit volatile std::size_t steps = 0;

void count_one(int) {
    steps = steps + 1;
}

template <class Operation>
[[gnu::noinline]] std::size_t count(Operation operation) {
    steps = 0;
    // Below the red zone, which belongs to the code around.
    asm volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                     : "memory", "cc");
    operation();
    asm volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                     : "memory", "cc");
    return steps;
}

// Calls through a pointer, as the code around does for all of them: what it costs is taken off.
class ArenaInstructions : public ::testing::Test {
  protected:
    void SetUp() override {
        struct sigaction trap {};
        trap.sa_handler = count_one;
        sigaction(SIGTRAP, &trap, &before_);
        fresh_.cursor.in_stretch = true;
        fresh_.free(fresh_.allocate(64));
    }
    void TearDown() override { sigaction(SIGTRAP, &before_, nullptr); }

    std::size_t of_allocate(std::size_t size) {
        return count([&] { block_ = fresh_.arena.allocate(fresh_.cursor, size, 16, Fill::as_is); }) - around();
    }
    std::size_t of_free(void* block) {
        return count([&] { fresh_.arena.deallocate(fresh_.cursor, block); }) - around();
    }

    FreshArena fresh_;
    void* block_ = nullptr;

  private:
    // At the least: the calls' own arguments are counted as the arena's.
    std::size_t around() {
        return count([] {});
    }
    struct sigaction before_ {};
};

TEST_F(ArenaInstructions, of_a_pair_of_the_newest_block_stay_within_the_budget) {
    const std::size_t allocate = of_allocate(64);
    const std::size_t free = of_free(block_);
    EXPECT_LE(allocate, 45u);
    EXPECT_LE(free, 45u);
    EXPECT_GE(allocate, 15u);  // else nothing was counted
    EXPECT_GE(free, 15u);
    RecordProperty("allocate", static_cast<int>(allocate));
    RecordProperty("free", static_cast<int>(free));
}

TEST_F(ArenaInstructions, of_freeing_an_older_block_stay_within_the_budget) {
    void* older = fresh_.allocate(64);
    void* newest = fresh_.allocate(64);
    const std::size_t free = of_free(older);
    EXPECT_LE(free, 150u);
    EXPECT_GE(free, 40u);
    RecordProperty("free", static_cast<int>(free));
    fresh_.free(newest);
}

// With pages that were kept: no system call, whose price no instruction shows.
TEST_F(ArenaInstructions, of_a_large_pair_in_a_stretch_stay_within_the_budget) {
    for (const std::size_t size : {std::size_t{40000}, std::size_t{300000}, std::size_t{10} << 20}) {
        fresh_.free(fresh_.allocate(size));
        const std::size_t allocate = of_allocate(size);
        const std::size_t free = of_free(block_);
        EXPECT_LE(allocate, 260u) << size;
        EXPECT_LE(free, 260u) << size;
        EXPECT_GE(allocate, 40u) << size;
        RecordProperty("allocate", static_cast<int>(allocate));
        RecordProperty("free", static_cast<int>(free));
    }
}

}  // namespace
}  // namespace unknot
