// SPDX-License-Identifier: Apache-2.0
// mmap, mprotect and madvise fail at every call in turn, once or from there on: blocks or nullptr come back, never a
// crash, never a block that loses its contents or is not zeroed, and the accounts are right when all is freed.
#include "tests/shim/refused_calls.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <array>
#include <csignal>

#include "tests/shim/fresh_arena.h"

namespace unknot {
namespace {

using testing::fill;
using testing::FreshArena;
using testing::holds;
using testing::is_zero;
using testing::Refusal;
using testing::RefusedCalls;

enum Outcome : int { good = 0, lost_contents, not_zeroed, odd_accounts, never_reached, recovers_not };

struct Owned {
    void* block;
    std::size_t size;
};

// Everything that asks the kernel for something: the first block, new chunks, metadata, large blocks, growth and
// shrinking, more empty chunks than stay warm, reuse of what was given back.
class Workload {
  public:
    void run() {
        for (int round = 0; round < 3; ++round) {
            for (std::size_t i = 0; i < 24; ++i) take(16000, round % 2 == 0 ? Fill::as_is : Fill::zero);
            for (std::size_t size = 20000; size < 5000000; size *= 3) take(size, Fill::zero);
            take(100, Fill::as_is, std::size_t{1} << 20);
            for (std::size_t i = 0; i < count_; i += 2) resize(owned_[i], owned_[i].size * 5 / 4);
            for (std::size_t i = 0; i < count_; i += 3) resize(owned_[i], owned_[i].size / 4 + 1);
            take(400000, Fill::zero);
            give_all_back();
        }
        fresh_.arena.retire(fresh_.cursor);
    }

    Outcome outcome() {
        if (outcome_ != good) return outcome_;
        if (fresh_.live_blocks() != 0 || fresh_.live_bytes() != 0) return odd_accounts;
        if (fresh_.page.arena_committed > 16 * chunk_size) return odd_accounts;
        return good;
    }

    // Once the kernel grants everything again.
    bool recovers() {
        void* block = fresh_.allocate(100000, 16, Fill::zero);
        const bool has_range = fresh_.page.arena_reserved > 2 * Arena::static_reserve;
        return block != nullptr ? is_zero(block, 100000) : !has_range;
    }

  private:
    void take(std::size_t size, Fill how, std::size_t alignment = 16) {
        void* block = fresh_.allocate(size, alignment, how);
        if (block == nullptr) return;
        if (how == Fill::zero && !is_zero(block, size)) outcome_ = not_zeroed;
        fill(block, 0, size);
        owned_[count_++] = {block, size};
    }

    void resize(Owned& owned, std::size_t size) {
        const std::size_t kept = size < owned.size ? size : owned.size;
        if (!fresh_.resize(owned.block, size)) return;
        if (!holds(owned.block, kept)) outcome_ = lost_contents;
        fill(owned.block, 0, size);
        owned.size = size;
    }

    void give_all_back() {
        for (std::size_t i = 0; i < count_; ++i) {
            if (!holds(owned_[i].block, owned_[i].size)) outcome_ = lost_contents;
            fresh_.free(owned_[i].block);
        }
        count_ = 0;
    }

    FreshArena fresh_;
    std::array<Owned, 64> owned_{};
    std::size_t count_ = 0;
    Outcome outcome_ = good;
};

int run_refusing(const Refusal& refusal) {
    static constinit const char quiet[] = "/dev/null";
    static Workload workload;
    if (std::freopen(quiet, "w", stderr) == nullptr) return 99;
    RefusedCalls::install(refusal);
    workload.run();
    if (RefusedCalls::seen() <= refusal.first) return never_reached;
    if (const Outcome outcome = workload.outcome(); outcome != good) return outcome;
    return refusal.first != refusal.last || workload.recovers() ? good : recovers_not;
}

// How often the workload asks for each; one that asks too seldom would show little.
void refuse_each_in_turn(long number, bool from_there_on, std::uint64_t at_least) {
    testing::no_core_dumps();
    for (std::uint64_t at = 0;; ++at) {
        const pid_t child = fork();
        if (child == 0) _exit(run_refusing({number, at, from_there_on ? UINT64_MAX : at}));
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status) << " when call " << at << " was refused";
        if (WEXITSTATUS(status) == never_reached) {
            EXPECT_GE(at, at_least);
            return;
        }
        ASSERT_EQ(WEXITSTATUS(status), good) << "when call " << at << " was refused";
    }
}

TEST(ArenaRefusedByTheKernel, survives_every_single_mmap) {
    refuse_each_in_turn(SYS_mmap, false, 1);
}
TEST(ArenaRefusedByTheKernel, survives_every_single_mprotect) {
    refuse_each_in_turn(SYS_mprotect, false, 15);
}
TEST(ArenaRefusedByTheKernel, survives_every_single_madvise) {
    refuse_each_in_turn(SYS_madvise, false, 30);
}
TEST(ArenaRefusedByTheKernel, survives_every_single_call_of_any_kind) {
    refuse_each_in_turn(-1, false, 45);
}
TEST(ArenaRefusedByTheKernel, survives_the_end_of_every_mmap) {
    refuse_each_in_turn(SYS_mmap, true, 1);
}
TEST(ArenaRefusedByTheKernel, survives_the_end_of_every_mprotect) {
    refuse_each_in_turn(SYS_mprotect, true, 15);
}
TEST(ArenaRefusedByTheKernel, survives_the_end_of_every_madvise) {
    refuse_each_in_turn(SYS_madvise, true, 30);
}
TEST(ArenaRefusedByTheKernel, survives_the_end_of_every_call) {
    refuse_each_in_turn(-1, true, 45);
}

}  // namespace
}  // namespace unknot
