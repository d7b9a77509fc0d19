// SPDX-License-Identifier: Apache-2.0
// Rule 2, seen from outside: whoever unwinds inside the allocator never waits for the loader lock, and everybody else
// gets the walk that libc gives. What hangs without the shim is shown to hang first.
#include <gtest/gtest.h>

#include <cstdint>

#include "tests/preload/preload.h"
#include "tests/process/system.h"

namespace unknot::preload {

namespace {

// Where the bare hang is luck: how often to try for it.
constexpr int most_tries = 20;

constexpr Allocator glibc{"glibc", "", "glibc", "pass_through"};
constexpr Allocator jemalloc{"jemalloc", "libjemalloc.so.2", "jemalloc", "pass_through"};
constexpr Allocator forking = process::survives_fork("tcmalloc") ? tcmalloc : jemalloc;
// Exceptions and libgcc's stack traces bind to libunwind, as they do in programs that do not link libgcc_s themselves.
constexpr Allocator tcmalloc_then_libunwind{"tcmalloc", "libtcmalloc.so.4 libunwind.so.8", "tcmalloc", "protect"};

// Where tcmalloc takes its traces without the loader (arm64) the shim has to be told to protect.
const char* const unasked = std::string_view(tcmalloc.mode) == "protect" ? "" : "protect";

process::Command victim(const std::string& name) {
    return {{built("walks/" + name)}};
}

process::Command lock3() {
    return {{built("phdr_deadlock"), "lock3", "2048"}};
}

// One run that must succeed; its report.
process::ReportLine expect_success(const process::Command& command, const Allocator& allocator = tcmalloc,
                                   const std::string& mode = unasked) {
    const ShimmedRun run = run_with_shim(command, allocator, mode);
    EXPECT_TRUE(run.result.succeeded()) << run.story();
    EXPECT_TRUE(run.report) << "no report; " << run.story();
    if (!run.report) throw std::runtime_error("no report");
    EXPECT_EQ(run.report->word("mode"), "protect");
    EXPECT_EQ(run.report->word("walk"), "nonblocking");
    EXPECT_EQ(run.report->number("forwarded"), 0u);
    EXPECT_EQ(run.report->number("deferred"), run.report->number("drained"));
    return *run.report;
}

void expect_bare_hang(const process::Command& command, const Allocator& allocator = tcmalloc) {
    for (int tries = 0; tries < most_tries; ++tries) {
        const process::Result bare = run_bare(command, allocator);
        if (bare.outcome == process::Outcome::hung) return;
        ASSERT_TRUE(bare.succeeded()) << describe(bare) << "\n" << bare.err;
    }
    FAIL() << "the reproducer no longer hangs";
}

TEST(Lock3, hangs_without_the_shim) {
    expect_bare_hang({{built("phdr_deadlock"), "lock3"}});
}

TEST(Lock3, hangs_with_native_walks) {
    process::Command command{{built("phdr_deadlock"), "lock3"}};
    command.environment.emplace_back("UNKNOT_WALK", "native");
    for (int tries = 0; tries < most_tries; ++tries) {
        const ShimmedRun run = run_with_shim(command, tcmalloc, "");
        if (run.result.outcome == process::Outcome::hung) return;
        ASSERT_TRUE(run.result.succeeded()) << run.story();
    }
    FAIL() << "the first rule alone seems to be enough";
}

TEST(Lock3, runs_by_default_50_of_50) {
    std::uint64_t from_snapshot = 0;
    for (int run = 0; run < 50; ++run) from_snapshot += expect_success(lock3()).number("walks_from_snapshot");
    EXPECT_GT(from_snapshot, 0u);
}

TEST(Lock3, with_throws_through_libunwind_hangs_without_the_shim) {
    expect_bare_hang(victim("throws_keep_allocator_waiting"), tcmalloc_then_libunwind);
}

TEST(Lock3, with_throws_through_libunwind_runs) {
    for (int run = 0; run < 5; ++run) {
        const auto report = expect_success(victim("throws_keep_allocator_waiting"), tcmalloc_then_libunwind);
        EXPECT_GT(report.number("walks_from_snapshot"), 0u);
    }
}

TEST(Reproducer, counts_the_deadlocks_that_were_averted) {
    EXPECT_GT(expect_success({{built("phdr_deadlock"), "malloc"}}).number("averted"), 0u);
}

TEST(OrdinaryWalk, is_libcs_own_on_bare_libc) {
    const process::Result bare = run_bare(victim("ordinary_walks"), glibc);
    EXPECT_TRUE(bare.succeeded()) << describe(bare) << "\n" << bare.err;
}

TEST(OrdinaryWalk, is_libcs_own_with_the_shim) {
    expect_success(victim("ordinary_walks"));
}

TEST(OrdinaryWalk, is_libcs_own_under_another_allocator) {
    expect_success(victim("ordinary_walks"), glibc, "protect");
}

TEST(PlainWalk, is_treated_like_every_walk_once_it_allocates) {
    expect_success(victim("plain_walks"));
}

TEST(Unwinding, inside_the_allocator_beside_loading) {
    EXPECT_GT(expect_success(victim("unwinds_beside_loading")).number("walks_from_snapshot"), 0u);
}

TEST(Exceptions, arrive_on_bare_libc) {
    const process::Result bare = run_bare(victim("throws_beside_loading"), glibc);
    EXPECT_TRUE(bare.succeeded()) << describe(bare) << "\n" << bare.err;
}

TEST(Exceptions, arrive_beside_walks_from_the_snapshot) {
    EXPECT_GT(expect_success(victim("throws_beside_loading")).number("walks_from_snapshot"), 0u);
}

TEST(Exceptions, arrive_through_libunwind) {
    const auto report = expect_success(victim("throws_beside_loading"), tcmalloc_then_libunwind);
    EXPECT_GT(report.number("walks_from_snapshot"), 0u);
}

TEST(Exceptions, beside_an_edit_whose_owner_waits_for_them_hang_without_the_shim) {
    expect_bare_hang(victim("throws_beside_edit"), tcmalloc_then_libunwind);
}

TEST(Exceptions, beside_an_edit_whose_owner_waits_for_them_arrive) {
    EXPECT_GT(expect_success(victim("throws_beside_edit"), tcmalloc_then_libunwind).number("walks_from_outdated"), 0u);
}

TEST(Callback, can_be_left_on_bare_libc) {
    const process::Result bare = run_bare(victim("callback_leaves"), glibc);
    EXPECT_TRUE(bare.succeeded()) << describe(bare) << "\n" << bare.err;
}

TEST(Callback, can_be_left_in_every_way) {
    expect_success(victim("callback_leaves"));
}

TEST(Callback, reuses_the_pages_of_its_tables_and_gives_them_back_however_it_ends) {
    expect_success(victim("pages_wait"), forking, "protect");
    expect_success(victim("pages_wait"), glibc, "protect");
}

TEST(OddStacks, hang_without_the_shim) {
    expect_bare_hang(victim("odd_stacks"));
}

TEST(OddStacks, are_unwound_while_the_lock_is_held) {
    EXPECT_GE(expect_success(victim("odd_stacks")).number("walks_in_allocator"), 512u);
}

TEST(OddStacks, are_unwound_where_the_kernel_may_not_be_asked) {
    process::Command command = victim("odd_stacks");
    command.argv.emplace_back("forbid");
    EXPECT_GE(expect_success(command).number("walks_in_allocator"), 512u);
}

TEST(Fork, beside_a_walk_hangs_without_the_shim) {
    expect_bare_hang(victim("forks_beside_walk"));
}

TEST(Fork, beside_a_walk_leaves_a_child_that_walks_loads_and_throws_1000_times) {
    expect_success(victim("forks_beside_walk"), forking, "protect");
}

TEST(Fork, inside_a_callback_hangs_without_the_shim) {
    expect_bare_hang(victim("forks_in_callback"), glibc);
}

TEST(Fork, inside_a_callback_leaves_a_child_that_goes_on) {
    expect_success(victim("forks_in_callback"), forking, "protect");
}

TEST(Snapshot, shows_what_libc_shows) {
    EXPECT_GE(expect_success(victim("snapshot_follows")).number("snapshot_generation"), 80u);
}

TEST(Snapshot, is_asked_first_for_what_an_unwinder_looks_for) {
    const process::Result bare = run_bare(victim("finds_at_once"), glibc);
    EXPECT_NE(bare.err.find("at once"), std::string::npos) << describe(bare) << "\n" << bare.err;
    expect_success(victim("finds_at_once"));
    expect_success(victim("finds_at_once"), glibc, "protect");
    const ShimmedRun walks = run_with_shim(victim("finds_at_once"), glibc, "walks");
    EXPECT_TRUE(walks.result.succeeded()) << walks.story();
}

TEST(Snapshot, looks_at_no_stranger_s_data) {
    process::Command command = victim("finds_at_once");
    command.argv.emplace_back("stranger");
    const process::Result bare = run_bare(command, glibc);
    EXPECT_TRUE(bare.succeeded()) << describe(bare) << "\n" << bare.err;
    for (const char* mode : {"off", "observe", "auto", "walks", "protect"}) {
        for (const Allocator& allocator : {glibc, tcmalloc, jemalloc}) {
            const ShimmedRun run = run_with_shim(command, allocator, mode);
            EXPECT_TRUE(run.result.succeeded()) << mode << "\n" << run.story();
        }
    }
}

TEST(Snapshot, learns_of_unwinders_that_are_loaded_later) {
    expect_bare_hang(victim("late_unwinder"), glibc);
    EXPECT_GE(expect_success(victim("late_unwinder"), glibc, "protect").number("walks_from_snapshot"), 20u);
}

TEST(Snapshot, takes_bounded_memory_under_endless_loading) {
    const auto report = expect_success(victim("endless_loading"));
    EXPECT_GE(report.number("snapshot_generation"), 20'000u);
}

}  // namespace

}  // namespace unknot::preload
