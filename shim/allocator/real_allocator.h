// SPDX-License-Identifier: Apache-2.0
// The next allocator's functions as one table, filled once by dlsym(RTLD_NEXT) before the hot path can reach it: a
// thread goes the slow way until the slow way has made sure of the table.
#pragma once

#include <cstddef>
#include <cstdint>

struct dl_phdr_info;

namespace [[gnu::visibility("hidden")]] unknot {

struct RealAllocator {
#define UNKNOT_ALLOCATION(id, symbol, parameters, ...) void*(*id)parameters;
#define UNKNOT_ALLOCATION_INTO(id, symbol) int (*id)(void**, std::size_t, std::size_t);
#define UNKNOT_REALLOCATION(id, symbol, parameters, ...) void*(*id)parameters;
#define UNKNOT_DEALLOCATION(id, symbol, parameters, ...) void(*id) parameters;
#define UNKNOT_QUERY(id, symbol) std::size_t (*id)(void*);
#include "shim/allocator/entry_points.inc"
    int (*dl_iterate_phdr)(int (*)(dl_phdr_info*, std::size_t, void*), void*);
};

// Starts with the stand-ins. Written by resolve_real_allocator() only, with the same values whoever comes first.
extern constinit RealAllocator real_allocator;

// Is the table filled?
bool is_resolved();

// Are the first four rows known? While the table is being filled dlsym calls no others: from then on its own
// allocations can be forwarded.
bool knows_real_allocator();

// For a shim that the program's calls do not reach: the doors that only the shim exports (an allocator of its own has
// no free_sized, no reallocarray) lead to the allocator that the program does reach.
void adopt_program_allocator();

// Bytes that may be used at a block of the real allocator; 0 where it cannot say. Locks nothing.
std::size_t real_block_size(void* block);

// Fills the table. May be called by several threads at once. Calls dlsym, which allocates and frees: the caller has
// marked its thread as resolving, so that those calls do not come back here.
void resolve_real_allocator();

}  // namespace unknot
