// SPDX-License-Identifier: Apache-2.0
// A walk whose callback takes a stack trace: no allocation under the loader lock, only the unwinder's own lock, which
// the growing thread's allocator holds for long because its call sites are too many for the unwinder's cache.
// Step by step: unw_backtrace has a cache of its own for each thread.
#include "tests/incidents/victims/sampling.h"

int main() {
    scene::Growth growth;
    for (long round = 1; round <= 20'000; ++round) {
        scene::inside_walk([] { scene::expect(sampling::count_own_frames() > 2, "the stack is seen"); });
        if (round % 5000 == 0) scene::progress("walks", round);
    }
}
