// SPDX-License-Identifier: Apache-2.0
// A pause in the middle of a lock-free step, long enough for other threads to do whole steps of their own. Only the
// builds of arena_stress with a changed chunk.h include it.
#pragma once

#include <sched.h>

inline int linger() {
    thread_local unsigned calls = 0;
    if (++calls % 256 == 0) return sched_yield();
    for (unsigned i = 0; i < calls % 7 * 100; ++i) {
        asm volatile("");
    }
    return 0;
}
