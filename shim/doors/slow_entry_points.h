// SPDX-License-Identifier: Apache-2.0
// The slow halves of the entry points: reached by a jump, so that the return address is the application's.
#pragma once

#include <cstddef>

#include "shim/system/platform.h"

namespace [[gnu::visibility("hidden")]] unknot {

// Deallocations are not marked as cold: where size alone counts, g++ clears a record by rep stos, which stalls. Nor are
// allocations, whose slow halves begin with the straight way of a walk that allocates.
#define UNKNOT_ALLOCATION(id, symbol, parameters, ...) [[gnu::noinline]] void* id##_slow parameters;
#define UNKNOT_ALLOCATION_INTO(id, symbol) UNKNOT_COLD int id##_slow(void**, std::size_t, std::size_t);
#define UNKNOT_REALLOCATION(id, symbol, parameters, ...) UNKNOT_COLD void* id##_slow parameters;
#define UNKNOT_DEALLOCATION(id, symbol, parameters, ...) [[gnu::noinline]] void id##_slow parameters;
#define UNKNOT_QUERY(id, symbol) UNKNOT_COLD std::size_t id##_slow(void*);
#include "shim/allocator/entry_points.inc"

}  // namespace unknot
