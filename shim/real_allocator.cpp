// SPDX-License-Identifier: Apache-2.0
#include "shim/real_allocator.h"

#include <dlfcn.h>

#include <atomic>

#include "shim/stand_ins.h"

namespace unknot {

constinit RealAllocator real_allocator{
#define UNKNOT_ALLOCATION(id, ...) .id = stand_in::id,
#define UNKNOT_ALLOCATION_INTO(id, ...) .id = stand_in::id,
#define UNKNOT_REALLOCATION(id, ...) .id = stand_in::id,
#define UNKNOT_DEALLOCATION(id, ...) .id = stand_in::id,
#define UNKNOT_QUERY(id, ...) .id = stand_in::id,
#include "shim/entry_points.inc"
    .dl_iterate_phdr = stand_in::dl_iterate_phdr,
};

namespace {

constinit std::atomic<bool> resolved{false};

template <class Function>
void look_up(Function*& slot, const char* symbol) {
    // Other threads may be filling the same slot with the same value.
    if (void* found = dlsym(RTLD_NEXT, symbol)) {
        __atomic_store_n(&slot, reinterpret_cast<Function*>(found), __ATOMIC_RELAXED);
    }
}

}  // namespace

// Acquire pairs with the release in resolve_real_allocator: the table is visible.
bool is_resolved() {
    return resolved.load(std::memory_order_acquire);
}

// Relaxed: a stale answer sends one more call to the arena.
bool knows_real_allocator() {
    return __atomic_load_n(&real_allocator.realloc, __ATOMIC_RELAXED) != &stand_in::realloc;
}

void resolve_real_allocator() {
    // First: the real allocator may unwind as soon as it is reached, from inside the look-ups below.
    look_up(real_allocator.dl_iterate_phdr, "dl_iterate_phdr");
#define UNKNOT_ALLOCATION(id, symbol, ...) look_up(real_allocator.id, symbol);
#define UNKNOT_ALLOCATION_INTO(id, symbol) look_up(real_allocator.id, symbol);
#define UNKNOT_REALLOCATION(id, symbol, ...) look_up(real_allocator.id, symbol);
#define UNKNOT_DEALLOCATION(id, symbol, ...) look_up(real_allocator.id, symbol);
#define UNKNOT_QUERY(id, symbol) look_up(real_allocator.id, symbol);
#include "shim/entry_points.inc"
    resolved.store(true, std::memory_order_release);
}

}  // namespace unknot
