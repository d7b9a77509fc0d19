// SPDX-License-Identifier: Apache-2.0
// The loops whose instructions are counted, and what protecting may add to one turn of each. The budgets are those of
// the hot path: 6 instructions for an allocation, 11 for everything that takes a block. They do not depend on the
// allocator behind: what it executes is subtracted.
#pragma once

// X(name, budget): budget in instructions per turn, x86_64
#define UNKNOT_COUNTED_LOOPS(X)   \
    X(malloc_free, 6 + 11)        \
    X(new_delete, 6 + 11)         \
    X(calloc_free, 6 + 11)        \
    X(realloc_moves, 6 + 11 + 11) \
    X(posix_memalign_free, 6 + 11)
