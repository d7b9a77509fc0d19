// SPDX-License-Identifier: Apache-2.0
// A signal handler at every single instruction of the arena's operations: the processor's trap flag stops the thread
// after each instruction, and at one of them, in turn, the handler uses the same arena through the same cursor, or
// forks a child that does. Nothing is left to luck or to a timer.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <functional>

#include "tests/shim/fresh_arena.h"

namespace unknot {
namespace {

using testing::fill;
using testing::FreshArena;
using testing::holds;

struct World {
    FreshArena fresh{std::size_t{4} << 20};
    struct Owned {
        void* block;
        std::size_t size;
    };
    std::array<Owned, 200> owned{};
    std::size_t count = 0;
    bool broken = false;

    void own(void* block, std::size_t size) {
        if (block == nullptr) return;
        fill(block, 0, size);
        owned[count++] = {block, size};
    }
    void* allocate_and_own(std::size_t size) {
        void* block = fresh.allocate(size);
        own(block, size);
        return block;
    }
    // More than a chunk of new blocks, so that whatever was recycled too early is written over.
    void finish() {
        for (int i = 0; i < 12; ++i) allocate_and_own(6000);
        for (std::size_t i = 0; i < count; ++i) {
            if (owned[i].block == nullptr) continue;
            broken |= !holds(owned[i].block, owned[i].size);
        }
        if (broken) return;
        for (std::size_t i = 0; i < count; ++i) {
            if (owned[i].block != nullptr) fresh.free(owned[i].block);
        }
        fresh.arena.retire(fresh.cursor);
    }
};

constinit World* world = nullptr;
constinit std::function<void()>* action = nullptr;
constinit volatile std::size_t step = 0;
constinit volatile std::size_t target = 0;
constinit volatile bool acted = false;

constexpr greg_t trap_flag = 0x100;

void after_instruction(int, siginfo_t*, void* context) {
    const std::size_t now = step;
    step = now + 1;
    if (now != target) return;
    static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~trap_flag;
    acted = true;
    (*action)();
}

// Steps over what it calls. Below the red zone, which belongs to the code around the call.
template <class Operation>
[[gnu::noinline]] void stepped(Operation operation) {
    if (!acted) {
        asm volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                         : "memory", "cc");
    }
    operation();
    asm volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                     : "memory", "cc");
}

// Runs `scenario` again and again, the handler one instruction later each time. Returns how many instructions it has.
std::size_t interrupt_everywhere(const std::function<void(World&)>& scenario, std::function<void()> handler,
                                 const char* name) {
    struct sigaction trap {};
    struct sigaction before {};
    trap.sa_sigaction = after_instruction;
    trap.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &trap, &before);
    action = &handler;
    std::size_t at = 0;
    for (acted = true; acted; ++at) {
        World here;
        world = &here;
        step = 0;
        target = at;
        acted = false;
        scenario(here);
        here.finish();
        EXPECT_FALSE(here.broken) << name << ": a block lost its contents, interrupted after instruction " << at;
        if (here.broken) break;
        EXPECT_EQ(here.fresh.live_blocks(), 0u) << name << ", instruction " << at;
        EXPECT_EQ(here.fresh.live_bytes(), 0u) << name << ", instruction " << at;
        EXPECT_FALSE(here.fresh.cursor.busy);
        EXPECT_LE(here.fresh.page.arena_committed, 16 * chunk_size) << name << ", instruction " << at;
        if (::testing::Test::HasFailure()) break;
    }
    sigaction(SIGTRAP, &before, nullptr);
    return at;
}

// What the interrupted thread is doing.

void first_block(World& w) {
    void* block = nullptr;
    stepped([&] { block = w.fresh.allocate(64); });
    w.own(block, 64);
}

void cut_and_take_back(World& w) {
    void* block = w.fresh.allocate(64);
    fill(block, 0, 64);
    stepped([&] { w.fresh.free(block); });
    stepped([&] { block = w.fresh.allocate(64, 16, Fill::zero); });
    const auto* bytes = static_cast<const char*>(block);
    w.broken |= std::any_of(bytes, bytes + 64, [](char byte) { return byte != 0; });
    w.own(block, 64);
}

void free_an_older_block(World& w) {
    void* block = w.fresh.allocate(64);
    w.allocate_and_own(64);
    stepped([&] { w.fresh.free(block); });
    w.allocate_and_own(64);
}

void grow_the_newest(World& w) {
    void* block = w.fresh.allocate(64);
    bool grown = false;
    stepped([&] { grown = w.fresh.resize(block, 500); });
    w.own(block, grown ? 500 : 64);
}

void shrink_the_newest(World& w) {
    void* block = w.fresh.allocate(5000);
    stepped([&] { w.fresh.resize(block, 500); });
    w.own(block, 500);
}

// The chunk is nearly full: the next block needs another one.
void next_chunk(World& w) {
    for (int i = 0; i < 4; ++i) w.allocate_and_own(16000);
    void* block = nullptr;
    stepped([&] { block = w.fresh.allocate(5000); });
    w.own(block, 5000);
}

// All blocks but the last were freed from outside, then that one: the chunk is emptied in place.
void empty_in_place(World& w) {
    ArenaCursor other{};
    for (int i = 0; i < 4; ++i) w.fresh.arena.deallocate(other, w.fresh.allocate(16000));
    void* block = nullptr;
    stepped([&] { block = w.fresh.allocate(5000); });
    w.own(block, 5000);
    w.fresh.arena.publish(other);
}

void retire_chunk(World& w) {
    w.allocate_and_own(64);
    stepped([&] { w.fresh.arena.retire(w.fresh.cursor); });
}

void retire_empty_chunk(World& w) {
    w.fresh.free(w.fresh.allocate(64));
    stepped([&] { w.fresh.arena.retire(w.fresh.cursor); });
}

void large_block(World& w) {
    void* block = nullptr;
    stepped([&] { block = w.fresh.allocate(70000); });
    w.own(block, 2000);
}

void resize_a_large_block(World& w) {
    void* block = w.fresh.allocate(70000);
    fill(block, 0, 2000);
    stepped([&] { w.fresh.resize(block, 120000); });
    stepped([&] { w.fresh.resize(block, 2000); });
    w.broken |= !holds(block, 2000);
    w.own(block, 2000);
}

void free_a_large_block(World& w) {
    void* block = w.fresh.allocate(70000, std::size_t{1} << 17);
    stepped([&] { w.fresh.free(block); });
}

void publish_counts(World& w) {
    w.allocate_and_own(64);
    stepped([&] { w.fresh.arena.publish(w.fresh.cursor); });
}

struct Scenario {
    const char* name;
    void (*run)(World&);
};
void PrintTo(const Scenario& scenario, std::ostream* out) {
    *out << scenario.name;
}
constexpr Scenario scenarios[] = {
    {"first_block", first_block},
    {"cut_and_take_back", cut_and_take_back},
    {"free_an_older_block", free_an_older_block},
    {"grow_the_newest", grow_the_newest},
    {"shrink_the_newest", shrink_the_newest},
    {"next_chunk", next_chunk},
    {"empty_in_place", empty_in_place},
    {"retire_chunk", retire_chunk},
    {"retire_empty_chunk", retire_empty_chunk},
    {"large_block", large_block},
    {"resize_a_large_block", resize_a_large_block},
    {"free_a_large_block", free_a_large_block},
    {"publish_counts", publish_counts},
};

// What the handler does.

void use_the_arena() {
    void* block = world->fresh.allocate(200);
    if (block == nullptr) return;
    fill(block, 0, 200);
    world->allocate_and_own(48);
    world->broken |= !holds(block, 200);
    world->fresh.free(block);
    world->allocate_and_own(48);
    world->fresh.arena.publish(world->fresh.cursor);
}

// Leaves the chunk, and takes as much of the next one as the interrupted thread had of its own.
void move_to_the_same_place_in_another_chunk() {
    const char* chunk = world->fresh.cursor.end;
    for (int i = 0; i < 8 && world->fresh.cursor.end == chunk; ++i) world->allocate_and_own(16000);
    if (world->fresh.cursor.busy) return;
    world->fresh.arena.retire(world->fresh.cursor);
    world->allocate_and_own(64);
}

void retire_what_is_there() {
    world->fresh.arena.retire(world->fresh.cursor);
}

class InterruptedArena : public ::testing::TestWithParam<Scenario> {
  protected:
    void interrupt_with(void (*handler)()) {
        const std::size_t instructions = interrupt_everywhere(GetParam().run, handler, GetParam().name);
        EXPECT_GT(instructions, 20u);
        RecordProperty("instructions", static_cast<int>(instructions));
    }
};

TEST_P(InterruptedArena, survives_a_handler_that_allocates_and_frees) {
    interrupt_with(use_the_arena);
}
TEST_P(InterruptedArena, survives_a_handler_that_moves_on_to_another_chunk) {
    interrupt_with(move_to_the_same_place_in_another_chunk);
}
TEST_P(InterruptedArena, survives_a_handler_that_retires_the_chunk) {
    interrupt_with(retire_what_is_there);
}

// The child has another cursor, as every thread but the one that stands in the middle of an operation.
bool child_can_use_the_arena() {
    ArenaCursor mine{};
    void* blocks[8];
    for (std::size_t i = 0; i < 8; ++i) {
        const std::size_t size = 16 + i * i * 400;
        blocks[i] = world->fresh.arena.allocate(mine, size);
        if (blocks[i] == nullptr) return false;
        fill(blocks[i], 0, size);
    }
    for (std::size_t i = 0; i < 8; ++i) {
        if (!holds(blocks[i], 16 + i * i * 400)) return false;
        world->fresh.arena.deallocate(mine, blocks[i]);
    }
    for (std::size_t i = 0; i < world->count; ++i) {
        if (world->owned[i].block == nullptr) continue;
        if (!holds(world->owned[i].block, world->owned[i].size)) return false;
        world->fresh.arena.deallocate(mine, world->owned[i].block);
    }
    return true;
}

void fork_a_child() {
    const pid_t child = fork();
    if (child == 0) _exit(child_can_use_the_arena() ? 0 : 1);
    int status = 1;
    waitpid(child, &status, 0);
    world->broken |= status != 0;
}

TEST_P(InterruptedArena, is_whole_in_a_child_forked_at_any_instruction) {
    testing::no_core_dumps();
    interrupt_with(fork_a_child);
}

INSTANTIATE_TEST_SUITE_P(Every, InterruptedArena, ::testing::ValuesIn(scenarios),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace unknot
