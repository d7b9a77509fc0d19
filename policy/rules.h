// SPDX-License-Identifier: Apache-2.0
// The two rules, and which mode follows which. Pure; no libc.
//   rule 1: a thread that owns a loader lock never enters the allocator (within the budget of its stretch)
//   rule 2: a thread inside the allocator never waits for a loader lock
// Either one breaks the cycle of two locks. Rule 2 needs nothing of malloc, so it is followed wherever walks can be
// reached: where the program's malloc is its own, and where the allocator takes no stack traces. There something else
// may unwind inside malloc (a sampling profiler's signal handler); the first such walk that finds the lock busy is
// served by rule 2, and is the reason to follow rule 1 as well from then on.
#pragma once

#include "policy/stats_page.h"

namespace unknot {

constexpr bool follows_rule_1(Mode mode) {
    return mode == Mode::protect;
}
constexpr bool follows_rule_2(Mode mode) {
    return mode == Mode::protect || mode == Mode::pass_through || mode == Mode::walks;
}
// Does a thread have to see that it owns the load lock: now, or once the mode has changed?
constexpr bool watches_load_lock(Mode mode) {
    return mode == Mode::protect || mode == Mode::pass_through || mode == Mode::observe;
}

static_assert(!follows_rule_1(Mode::automatic) && !follows_rule_2(Mode::automatic));
static_assert(!follows_rule_2(Mode::observe) && !follows_rule_2(Mode::off) && !watches_load_lock(Mode::off));

}  // namespace unknot
