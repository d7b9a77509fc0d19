// SPDX-License-Identifier: Apache-2.0
// A signal handler that jumps out of the arena, at every single instruction of an operation: the thread goes on with
// its cursor, nothing that is live loses its contents, and no more than the chunk or span that was in its hands is
// lost.
#include <gtest/gtest.h>
#include <setjmp.h>
#include <ucontext.h>

#include <array>
#include <csignal>

#include "tests/shim/fresh_arena.h"

namespace unknot {
namespace {

using testing::fill;
using testing::FreshArena;
using testing::holds;

constinit sigjmp_buf* way_out = nullptr;
constinit volatile std::size_t step = 0;
constinit volatile std::size_t target = 0;

void jump_at_the_target(int, siginfo_t*, void*) {
    const std::size_t now = step;
    step = now + 1;
    if (now == target) siglongjmp(*way_out, 1);
}

struct World {
    FreshArena fresh{std::size_t{4} << 20};
    std::array<void*, 64> live{};
    std::size_t count = 0;
    void* victim = nullptr;

    void keep(std::size_t size) {
        void* block = fresh.allocate(size);
        if (block == nullptr) return;
        fill(block, 0, 16);
        live[count++] = block;
    }
};

using Action = void (*)(World&);

struct Scenario {
    const char* name;
    Action before;
    Action operation;
};
void PrintTo(const Scenario& scenario, std::ostream* out) {
    *out << scenario.name;
}

void nothing(World&) {}
void one_block(World& w) {
    w.victim = w.fresh.allocate(64);
}
void one_of_two(World& w) {
    w.victim = w.fresh.allocate(64);
    w.keep(64);
}
void nearly_full(World& w) {
    for (int i = 0; i < 4; ++i) w.keep(16000);
}
void a_retired_chunk_with_room(World& w) {
    std::array<void*, 16> blocks;
    for (void*& block : blocks) block = w.fresh.allocate(3000);
    w.keep(100);
    w.fresh.arena.retire(w.fresh.cursor);
    for (void* block : blocks) w.fresh.free(block);
}
constexpr Scenario scenarios[] = {
    {"allocate", one_block, [](World& w) { w.victim = w.fresh.allocate(100); }},
    {"allocate_the_first", nothing, one_block},
    {"allocate_aligned", one_of_two, [](World& w) { w.victim = w.fresh.allocate(100, 256); }},
    {"allocate_from_the_next_chunk", nearly_full, [](World& w) { w.victim = w.fresh.allocate(5000); }},
    {"allocate_in_a_room", a_retired_chunk_with_room, [](World& w) { w.victim = w.fresh.allocate(500); }},
    {"allocate_large", nothing, [](World& w) { w.victim = w.fresh.allocate(50000); }},
    {"free_the_newest", one_block, [](World& w) { w.fresh.free(w.victim); }},
    {"free_an_older", one_of_two, [](World& w) { w.fresh.free(w.victim); }},
    {"grow", one_block, [](World& w) { w.fresh.resize(w.victim, 500); }},
    {"shrink", one_of_two, [](World& w) { w.fresh.resize(w.victim, 16); }},
    {"publish", one_of_two, [](World& w) { w.fresh.arena.publish(w.fresh.cursor); }},
    {"retire", one_of_two, [](World& w) { w.fresh.arena.retire(w.fresh.cursor); }},
};

// False: the operation was over before.
[[gnu::noinline]] bool jump_out_of(World& w, Action operation, std::size_t at) {
    sigjmp_buf here;
    way_out = &here;
    step = 0;
    target = at;
    if (sigsetjmp(here, 1) != 0) return true;
    asm volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                     : "memory", "cc");
    operation(w);
    asm volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                     : "memory", "cc");
    return false;
}

// Other calls use the stack where the operation's frame was; then the same as before, from further up and down.
[[gnu::noinline]] void go_on(World& w, int depth) {
    volatile char used[400];
    for (volatile char& byte : used) byte = static_cast<char>(depth);
    for (int i = 0; i < 20; ++i) {
        void* block = w.fresh.allocate(64 + static_cast<std::size_t>(i) * 100);
        if (block == nullptr) continue;
        fill(block, 0, 64);
        void* other = w.fresh.allocate(64);
        EXPECT_TRUE(holds(block, 64));
        w.fresh.free(block);
        w.fresh.free(other);
    }
    if (depth > 0) go_on(w, depth - 1);
    used[0] = used[1];
}

class JumpOutOfTheArena : public ::testing::TestWithParam<Scenario> {};

TEST_P(JumpOutOfTheArena, leaves_a_cursor_that_goes_on) {
    struct sigaction trap {};
    struct sigaction before {};
    trap.sa_sigaction = jump_at_the_target;
    trap.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &trap, &before);
    std::size_t lost = 0;
    std::size_t at = 0;
    for (;; ++at) {
        World w;
        GetParam().before(w);
        const bool jumped = jump_out_of(w, GetParam().operation, at);
        go_on(w, 5);
        ASSERT_EQ(w.fresh.cursor.busy, nullptr) << "after instruction " << at;
        const std::uint64_t large = w.fresh.large_blocks();
        go_on(w, 5);
        EXPECT_EQ(w.fresh.large_blocks(), large) << "small blocks still get spans, after instruction " << at;
        EXPECT_LE(large, 40u) << at;
        for (std::size_t i = 0; i < w.count; ++i) {
            ASSERT_TRUE(holds(w.live[i], 16)) << at;
            w.fresh.free(w.live[i]);
        }
        w.fresh.arena.retire(w.fresh.cursor);
        EXPECT_FALSE(w.fresh.cursor.chunk) << at;
        // The block that nobody got, or nobody finished freeing, holds its chunk; another chunk or span was lost.
        if (w.fresh.page.arena_committed > 18 * chunk_size) ++lost;
        EXPECT_LE(w.fresh.page.arena_committed, 20 * chunk_size) << at;
        if (!jumped || HasFailure()) break;
    }
    sigaction(SIGTRAP, &before, nullptr);
    EXPECT_GT(at, 10u);
    EXPECT_EQ(lost, 0u);
    RecordProperty("instructions", static_cast<int>(at));
    RecordProperty("lost", static_cast<int>(lost));
}

INSTANTIATE_TEST_SUITE_P(Every, JumpOutOfTheArena, ::testing::ValuesIn(scenarios),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace unknot
