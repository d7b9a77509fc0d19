// SPDX-License-Identifier: Apache-2.0
// What fills a slot of the table that the next allocator does not have: the same contract on top of functions that
// every allocator has. A C program has no operator new at start, yet our export wins over the one that a C++ library
// brings later: its stand-in allocates with malloc and fails through that library's own runtime.
#pragma once

#include <cstddef>

struct dl_phdr_info;

namespace unknot [[gnu::visibility("hidden")]] {

// Runs the C++ runtime's new_handler once; without a handler throws std::bad_alloc through it. `caller` tells which
// runtime: the one that the calling object sees. Allocates nothing of its own.
void run_new_handler_or_throw(std::size_t size, const void* caller);

// Looks up what run_new_handler_or_throw needs in the libraries that are loaded from the start.
void find_cxx_runtime();

namespace stand_in {

#define UNKNOT_ALLOCATION(id, symbol, parameters, ...) void* id parameters;
#define UNKNOT_ALLOCATION_INTO(id, symbol) int id(void**, std::size_t, std::size_t);
#define UNKNOT_REALLOCATION(id, symbol, parameters, ...) void* id parameters;
#define UNKNOT_DEALLOCATION(id, symbol, parameters, ...) void id parameters;
#define UNKNOT_QUERY(id, symbol) std::size_t id(void*);
#include "shim/entry_points.inc"
int dl_iterate_phdr(int (*)(dl_phdr_info*, std::size_t, void*), void*);

}  // namespace stand_in
}  // namespace unknot
