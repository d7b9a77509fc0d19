// SPDX-License-Identifier: Apache-2.0
// The next allocator's functions as one table, filled once before the hot path can reach it: a thread goes the slow way
// until the slow way has made sure of the table.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shim/system/platform.h"

struct dl_phdr_info;

namespace [[gnu::visibility("hidden")]] unknot {

// Pages of its own: read by every malloc, so nobody writes beside it; and once it is filled, read-only.
struct alignas(largest_page) RealAllocator {
#define UNKNOT_ALLOCATION(id, symbol, parameters, ...) void*(*id)parameters;
#define UNKNOT_ALLOCATION_INTO(id, symbol) int (*id)(void**, std::size_t, std::size_t);
#define UNKNOT_REALLOCATION(id, symbol, parameters, ...) void*(*id)parameters;
#define UNKNOT_DEALLOCATION(id, symbol, parameters, ...) void(*id) parameters;
#define UNKNOT_QUERY(id, symbol) std::size_t (*id)(void*);
#include "shim/allocator/entry_points.inc"
    int (*dl_iterate_phdr)(int (*)(dl_phdr_info*, std::size_t, void*), void*);
    // What the stand-ins stand on: the four functions above that the program's own calls reach.
    struct {
        void* (*malloc)(std::size_t);
        void (*free)(void*);
        void* (*realloc)(void*, std::size_t);
        int (*posix_memalign)(void**, std::size_t, std::size_t);
    } base;
};

// All nullptr until it is filled. Written by resolve_real_allocator() only, with the same values whoever comes
// first.
extern constinit RealAllocator real_allocator;

// Is the table filled?
bool is_resolved();

// Are the first four rows known? From then on calls can be forwarded.
bool knows_real_allocator();

// Fills the table. May be called by several threads at once, and by a signal handler on top of itself. Takes no lock,
// allocates nothing, and calls nothing that could come back: the first call of all may stand inside an allocator, a
// dlsym, or somebody's wrapper of either.
void resolve_real_allocator();

// The table is final: from now on it cannot be changed, if the kernel grants it. No thread is filling it any more.
void seal_real_allocator();

// Bytes that may be used at a block of the real allocator; 0 where it cannot say. Locks nothing.
std::size_t real_block_size(void* block);

}  // namespace unknot
