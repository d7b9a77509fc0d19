// SPDX-License-Identifier: Apache-2.0
// What fills a slot of the table that the next allocator does not have: the same contract on top of functions that
// every allocator has. libc's function of that name would hand out blocks of libc's heap, which the allocator's free
// does not know. A C program has no operator new at start, yet our export wins over the one that a C++ library brings
// later: its stand-in allocates with malloc and fails through that library's own runtime.
#pragma once

#include <cstddef>

struct dl_phdr_info;

namespace [[gnu::visibility("hidden")]] unknot {

namespace stand_in {

#define UNKNOT_ALLOCATION(id, symbol, parameters, ...) void* id parameters;
#define UNKNOT_ALLOCATION_INTO(id, symbol) int id(void**, std::size_t, std::size_t);
#define UNKNOT_REALLOCATION(id, symbol, parameters, ...) void* id parameters;
#define UNKNOT_DEALLOCATION(id, symbol, parameters, ...) void id parameters;
#define UNKNOT_QUERY(id, symbol) std::size_t id(void*);
#include "shim/allocator/entry_points.inc"
int dl_iterate_phdr(int (*)(dl_phdr_info*, std::size_t, void*), void*);

}  // namespace stand_in
}  // namespace unknot
