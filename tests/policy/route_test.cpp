// SPDX-License-Identifier: Apache-2.0
// Which way a call takes, over every combination of facts: the rules of the shim, said once more and by themselves.
#include "policy/route.h"

#include <gtest/gtest.h>

namespace unknot {
namespace {

constexpr Mode modes[] = {Mode::protect, Mode::observe, Mode::off, Mode::pass_through};

template <class Check>
void for_all_allocations(Check check) {
    for (const bool owns : {false, true}) {
        for (const bool nothing : {false, true}) {
            for (const Mode mode : modes) {
                for (const bool over : {false, true}) {
                    check(AllocationFacts{
                        .owns_loader_lock = owns, .nothing_to_forward_to = nothing, .over_budget = over, .mode = mode});
                }
            }
        }
    }
}

template <class Check>
void for_all_deallocations(Check check) {
    for_all_allocations([&](const AllocationFacts& call) {
        for (const bool ours : {false, true}) {
            check(DeallocationFacts{.ours = ours,
                                    .owns_loader_lock = call.owns_loader_lock,
                                    .nothing_to_forward_to = call.nothing_to_forward_to,
                                    .over_budget = call.over_budget,
                                    .mode = call.mode});
        }
    });
}

TEST(Route, lets_an_owner_of_a_loader_lock_into_the_allocator_only_over_its_budget) {
    for_all_allocations([](const AllocationFacts& call) {
        if (call.mode == Mode::protect && call.owns_loader_lock) {
            EXPECT_EQ(route(call), call.over_budget && !call.nothing_to_forward_to ? Route::over_budget : Route::arena);
        }
    });
    for_all_deallocations([](const DeallocationFacts& call) {
        if (call.mode != Mode::protect || !call.owns_loader_lock) return;
        const bool over = call.over_budget && !call.nothing_to_forward_to;
        EXPECT_EQ(route(call), call.ours ? Route::arena : over ? Route::over_budget : Route::deferred);
    });
}

TEST(Route, leaves_every_call_without_a_loader_lock_to_the_real_allocator) {
    for_all_allocations([](const AllocationFacts& call) {
        if (!call.owns_loader_lock && !call.nothing_to_forward_to) {
            EXPECT_EQ(route(call), Route::real);
        }
    });
    for_all_deallocations([](const DeallocationFacts& call) {
        if (!call.owns_loader_lock && !call.nothing_to_forward_to && !call.ours) {
            EXPECT_EQ(route(call), Route::real);
        }
    });
}

TEST(Route, takes_its_own_blocks_back_in_every_mode) {
    for_all_deallocations([](const DeallocationFacts& call) {
        if (call.ours) {
            EXPECT_EQ(route(call), Route::arena);
        }
    });
}

TEST(Route, only_counts_in_observe_mode) {
    for_all_allocations([](const AllocationFacts& call) {
        if (call.nothing_to_forward_to) return;
        EXPECT_EQ(route(call) == Route::observed, call.mode == Mode::observe && call.owns_loader_lock);
    });
    for_all_deallocations([](const DeallocationFacts& call) {
        if (call.nothing_to_forward_to || call.ours) return;
        EXPECT_EQ(route(call) == Route::observed, call.mode == Mode::observe && call.owns_loader_lock);
    });
}

TEST(Route, does_nothing_of_its_own_when_off_or_passing_through) {
    for (const Mode mode : {Mode::off, Mode::pass_through}) {
        EXPECT_EQ(route(AllocationFacts{.owns_loader_lock = true, .mode = mode}), Route::real);
        EXPECT_EQ(route(DeallocationFacts{.owns_loader_lock = true, .mode = mode}), Route::real);
    }
}

TEST(Route, needs_no_real_allocator_before_there_is_one) {
    for_all_allocations([](const AllocationFacts& call) {
        if (call.nothing_to_forward_to) {
            EXPECT_EQ(route(call), Route::arena);
        }
    });
    for_all_deallocations([](const DeallocationFacts& call) {
        if (call.nothing_to_forward_to) {
            const bool over = call.over_budget && !call.nothing_to_forward_to;
            EXPECT_EQ(route(call), call.ours ? Route::arena : over ? Route::over_budget : Route::deferred);
        }
    });
}

}  // namespace
}  // namespace unknot
