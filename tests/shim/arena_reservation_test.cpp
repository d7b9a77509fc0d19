// SPDX-License-Identifier: Apache-2.0
// The reservation under real limits: how far it shrinks, what the static reserve still serves. Each test runs in a
// child, because limits cannot be taken back. Strict overcommit (vm.overcommit_memory=2) is a switch of the whole
// machine that a test must not touch; it refuses where RLIMIT_DATA does: at the mprotect that makes pages writable
// (mm/mprotect.c: security_vm_enough_memory and may_expand_vm), never at the PROT_NONE reservation.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "tests/shim/fresh_arena.h"
#include "tests/shim/memory_calls_only.h"

namespace unknot {
namespace {

using testing::fill;
using testing::FreshArena;
using testing::holds;

constexpr std::size_t mib = std::size_t{1} << 20;
constexpr std::size_t gib = std::size_t{1} << 30;
const char static_reserve_line[] =
    "Z unknot\\[[0-9]+\\]: no address space for the arena: using the static reserve of 524288 bytes\n$";

// VmSize (address space) or VmData of this process, in bytes.
std::size_t from_status(const char* format) {
    std::FILE* file = std::fopen("/proc/self/status", "r");
    char line[256];
    std::size_t kib = 0;
    while (std::fgets(line, sizeof line, file) != nullptr && std::sscanf(line, format, &kib) != 1) {
    }
    std::fclose(file);
    return kib << 10;
}
std::size_t address_space() {
    return from_status("VmSize: %zu");
}
std::size_t data_bytes() {
    return from_status("VmData: %zu");
}

void limit(int resource, std::size_t bytes) {
    const rlimit both{bytes, RLIM_INFINITY};
    if (prlimit(0, static_cast<__rlimit_resource>(resource), &both, nullptr) != 0) _exit(99);
}

// As many blocks as can be had, none of them broken; how many bytes they hold.
std::size_t exhaust(FreshArena& fresh, std::size_t size) {
    static std::array<void*, 100000> blocks;
    std::size_t n = 0;
    while (n < blocks.size()) {
        void* block = fresh.allocate(size);
        if (block == nullptr) break;
        fill(block, 0, size);
        blocks[n++] = block;
    }
    for (std::size_t i = 0; i < n; ++i) {
        if (!holds(blocks[i], size)) _exit(98);
        fresh.free(blocks[i]);
    }
    return n * size;
}

// Says what did not hold and ends the child.
void require(bool holds_true, const char* what) {
    if (holds_true) return;
    std::fprintf(stderr, "not so: %s\n", what);
    _exit(97);
}
#define REQUIRE(condition) require(condition, #condition)

bool has_static_reserve(const FreshArena& fresh) {
    return (fresh.page.flags & static_cast<std::uint32_t>(StatsFlag::static_reserve)) != 0;
}

#define EXPECT_CHILD_SUCCEEDS(function, output) \
    EXPECT_EXIT((function(), _exit(0)), ::testing::ExitedWithCode(0), output)

TEST(ArenaReservation, follows_the_limit_of_the_arena) {
    for (const std::size_t limit_of_arena : {std::size_t{64} << 10, mib, 64 * mib, gib}) {
        FreshArena fresh(limit_of_arena);
        fresh.free(fresh.allocate(100));
        EXPECT_GE(fresh.page.arena_reserved, 2 * limit_of_arena);
        EXPECT_LE(fresh.page.arena_reserved, 64 * limit_of_arena);
    }
}

void takes_a_sixteenth() {
    limit(RLIMIT_AS, 16 * gib);
    FreshArena fresh;
    void* block = fresh.allocate(100);
    REQUIRE(block != nullptr);
    REQUIRE(fresh.page.arena_reserved == gib);
    REQUIRE(!has_static_reserve(fresh));
    fresh.free(block);
    REQUIRE(exhaust(fresh, 100000) >= 500 * mib);
}
TEST(ArenaReservation, takes_a_sixteenth_of_the_address_space_that_rlimit_as_leaves) {
    EXPECT_CHILD_SUCCEEDS(takes_a_sixteenth, "^$");
}

// The wish is a sixteenth of the limit; less than that is free, and three quarters of it are the program's.
void halves_its_wish(bool limited_before_start) {
    REQUIRE(mmap(nullptr, gib, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
    const std::size_t before = address_space();
    if (limited_before_start) limit(RLIMIT_AS, before + 20 * mib);
    FreshArena fresh;
    if (!limited_before_start) limit(RLIMIT_AS, before + 20 * mib);
    void* block = fresh.allocate(100);
    REQUIRE(block != nullptr);
    REQUIRE(!has_static_reserve(fresh));
    REQUIRE(fresh.page.arena_reserved >= 2 * mib);
    REQUIRE(fresh.page.arena_reserved <= 5 * mib + chunk_size);
    fresh.free(block);
    REQUIRE(exhaust(fresh, 1000) >= mib);
    REQUIRE(exhaust(fresh, 1000) >= mib);
    REQUIRE(address_space() <= before + 5 * mib + chunk_size);
}
TEST(ArenaReservation, halves_its_wish_until_the_kernel_grants_it) {
    EXPECT_EXIT((halves_its_wish(true), _exit(0)), ::testing::ExitedWithCode(0), "^$");
}
TEST(ArenaReservation, leaves_the_program_its_share_of_a_limit_that_came_after_start) {
    EXPECT_EXIT((halves_its_wish(false), _exit(0)), ::testing::ExitedWithCode(0), "^$");
}

// Whatever a sandbox kills for after start: the first block asks for nothing but mmap, mprotect and madvise.
void is_confined_before_its_first_block() {
    FreshArena fresh;
    testing::allow_memory_calls_only();
    for (const std::size_t size : {std::size_t{100}, std::size_t{30000}, 8 * mib}) {
        void* block = fresh.allocate(size, 16, Fill::zero);
        if (block == nullptr) _exit(1);
        static_cast<char*>(block)[size - 1] = 1;
        fresh.resize(block, size / 8 + 1);
        fresh.free(block);
    }
    fresh.arena.retire(fresh.cursor);
    fresh.arena.destroy();
}
TEST(ArenaReservation, asks_a_sandbox_for_nothing_but_memory) {
    EXPECT_CHILD_SUCCEEDS(is_confined_before_its_first_block, "^$");
}

// Every step between plenty and nothing: blocks or nullptr, never a crash, and the outcome stands in the statistics.
void survives_with(std::size_t free_bytes) {
    FreshArena fresh;
    REQUIRE(mmap(nullptr, gib, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
    limit(RLIMIT_AS, address_space() + free_bytes);
    REQUIRE(exhaust(fresh, 1000) >= 300000);
    REQUIRE(fresh.page.arena_reserved >= Arena::static_reserve);
    REQUIRE(has_static_reserve(fresh) == (fresh.page.arena_reserved < mib));
    if (!has_static_reserve(fresh)) REQUIRE(fresh.page.arena_reserved <= free_bytes);
}
TEST(ArenaReservation, serves_at_every_step_down_to_nothing) {
    for (std::size_t free_bytes = 64 * mib; free_bytes >= 4096; free_bytes /= 2) {
        EXPECT_EXIT((survives_with(free_bytes), _exit(0)), ::testing::ExitedWithCode(0), "") << free_bytes;
    }
}

void falls_back_to_the_static_reserve() {
    FreshArena fresh;
    limit(RLIMIT_AS, address_space());
    REQUIRE(exhaust(fresh, 1000) >= 400000);
    REQUIRE(has_static_reserve(fresh));
    REQUIRE(fresh.page.arena_reserved >= Arena::static_reserve);
    for (int round = 0; round < 50; ++round) REQUIRE(exhaust(fresh, 1000) >= 400000);  // it comes back
    for (int i = 0; i < 1000; ++i) {
        void* zeroed = fresh.allocate(16000, 16, Fill::zero);
        REQUIRE(zeroed != nullptr && testing::is_zero(zeroed, 16000));
        std::memset(zeroed, 0xff, 16000);
        fresh.free(zeroed);
    }
    REQUIRE(fresh.allocate(mib) == nullptr);
    REQUIRE(fresh.live_blocks() == 0);
}
TEST(ArenaReservation, falls_back_to_the_static_reserve_and_says_so) {
    EXPECT_CHILD_SUCCEEDS(falls_back_to_the_static_reserve, static_reserve_line);
}

void serves_one_arena_only() {
    FreshArena first;
    FreshArena second;
    limit(RLIMIT_AS, address_space());
    REQUIRE(first.allocate(100) != nullptr);
    REQUIRE(second.allocate(100) == nullptr);
}
TEST(ArenaReservation, lends_the_static_reserve_to_one_arena_only) {
    EXPECT_CHILD_SUCCEEDS(serves_one_arena_only, static_reserve_line);
}

void falls_back_when_no_page_may_be_written() {
    FreshArena fresh;
    limit(RLIMIT_DATA, data_bytes());
    REQUIRE(exhaust(fresh, 1000) >= 400000);
    REQUIRE(has_static_reserve(fresh));
}
TEST(ArenaReservation, falls_back_when_address_space_is_granted_but_no_page_of_it) {
    EXPECT_CHILD_SUCCEEDS(falls_back_when_no_page_may_be_written, static_reserve_line);
}

// Pages run out in the middle, and come back.
void says_no_and_recovers() {
    FreshArena fresh;
    void* block = fresh.allocate(100);
    limit(RLIMIT_DATA, data_bytes() + 8 * chunk_size);
    REQUIRE(fresh.allocate(2 * mib) == nullptr);
    const std::size_t little = exhaust(fresh, 1000);
    REQUIRE(little > 0 && little <= 9 * chunk_size);
    REQUIRE(fresh.page.arena_committed <= 9 * chunk_size);
    limit(RLIMIT_DATA, RLIM_INFINITY);
    void* large = fresh.allocate(2 * mib, 16, Fill::zero);
    REQUIRE(large != nullptr && testing::is_zero(large, 2 * mib));
    REQUIRE(exhaust(fresh, 1000) >= 90 * mib);
    fresh.free(large);
    fresh.free(block);
    REQUIRE(fresh.live_blocks() == 0);
}
TEST(ArenaReservation, says_no_while_pages_are_refused_and_recovers) {
    EXPECT_CHILD_SUCCEEDS(says_no_and_recovers, "^$");
}

// Pages that are locked into memory cannot be given back; they are zeroed by hand then.
void works_under_mlockall() {
    FreshArena fresh(64 * mib);
    if (mlockall(MCL_FUTURE) != 0) _exit(0);  // not allowed here
    for (int round = 0; round < 3; ++round) {
        void* zeroed = fresh.allocate(mib, 16, Fill::zero);
        REQUIRE(zeroed != nullptr && testing::is_zero(zeroed, mib));
        std::memset(zeroed, 0xff, mib);
        REQUIRE(fresh.resize(zeroed, 600000));
        fresh.free(zeroed);
        exhaust(fresh, 1000);
    }
    REQUIRE(fresh.live_blocks() == 0);
}
TEST(ArenaReservation, works_when_memory_is_locked) {
    EXPECT_CHILD_SUCCEEDS(works_under_mlockall, "^$");
}

}  // namespace
}  // namespace unknot
