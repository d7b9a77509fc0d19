// SPDX-License-Identifier: Apache-2.0
// Which way one call takes. Pure decisions over plain facts: no libc, no globals, no I/O.
#pragma once

#include "policy/stats_page.h"

namespace unknot {

enum class Route : std::uint8_t {
    real,         // straight to the real allocator
    arena,        // served by, or given back to, the arena
    deferred,     // a free that waits until this thread owns no loader lock
    observed,     // counted, then to the real allocator (observe mode)
    over_budget,  // counted, then to the real allocator: rule 2 alone
};

struct AllocationFacts {
    bool owns_loader_lock = false;
    bool nothing_to_forward_to = false;  // the real function is not known yet
    bool over_budget = false;            // its stretch has no room for this call (policy/stretch.h)
    bool may_reach_libcs_free = false;   // see may_reach_libcs_free()
    Mode mode = Mode::protect;
};

// A library that was loaded with RTLD_DEEPBIND calls libc's own free, past every interposer, also for what libc
// (strdup, getline) or another library has allocated for it through the interposer. Where the allocator hands out
// libc's blocks that is right, and would be the end with a block of the arena. So there, under the load lock alone
// (rule 2 breaks its cycles; libc's malloc asks for no lock of the loader), only what the loader allocates for itself
// is diverted.
constexpr bool may_reach_libcs_free(bool allocator_hands_out_libcs_blocks, bool owns_write_lock, bool for_loader) {
    return allocator_hands_out_libcs_blocks && !owns_write_lock && !for_loader;
}

// Rule 1: a thread that owns L never enters the allocator, within the budget of its stretch.
constexpr Route route(const AllocationFacts& call) {
    if (call.nothing_to_forward_to) return Route::arena;
    if (!call.owns_loader_lock) return Route::real;
    if (call.mode == Mode::protect && call.may_reach_libcs_free) return Route::real;
    if (call.mode == Mode::protect) return call.over_budget ? Route::over_budget : Route::arena;
    return call.mode == Mode::observe ? Route::observed : Route::real;
}

struct DeallocationFacts {
    bool ours = false;  // the block lies in the arena
    bool owns_loader_lock = false;
    bool nothing_to_forward_to = false;
    bool over_budget = false;
    Mode mode = Mode::protect;
};

constexpr Route route(const DeallocationFacts& call) {
    if (call.ours) return Route::arena;
    if (call.nothing_to_forward_to) return Route::deferred;
    if (!call.owns_loader_lock) return Route::real;
    if (call.mode == Mode::protect) return call.over_budget ? Route::over_budget : Route::deferred;
    return call.mode == Mode::observe ? Route::observed : Route::real;
}

static_assert(route(AllocationFacts{}) == Route::real);
static_assert(route(AllocationFacts{.owns_loader_lock = true}) == Route::arena);
static_assert(route(AllocationFacts{.owns_loader_lock = true, .mode = Mode::observe}) == Route::observed);
static_assert(route(AllocationFacts{.owns_loader_lock = true, .mode = Mode::pass_through}) == Route::real);
static_assert(route(DeallocationFacts{.ours = true, .owns_loader_lock = true}) == Route::arena);
static_assert(route(DeallocationFacts{.owns_loader_lock = true}) == Route::deferred);
static_assert(route(AllocationFacts{.owns_loader_lock = true, .over_budget = true}) == Route::over_budget);
static_assert(route(AllocationFacts{.nothing_to_forward_to = true, .over_budget = true}) == Route::arena);
static_assert(route(AllocationFacts{.owns_loader_lock = true, .may_reach_libcs_free = true}) == Route::real);
static_assert(route(DeallocationFacts{.ours = true, .mode = Mode::off}) == Route::arena);

// What an allocation under a loader lock does when the arena has no room for it (UNKNOT_ARENA_FULL).
enum class ArenaFull : std::uint8_t {
    forward,  // to the real allocator; the guarantee is off for that call, and it is counted
    fail,     // NULL with ENOMEM, or std::bad_alloc, as the entry point's contract says
};

}  // namespace unknot
