// SPDX-License-Identifier: Apache-2.0
// What libunknot.so offers to the vendor objects (shim/doors/vendor/), which are preloaded beside it: one table and one
// thread-local variable. The version stands in the table's name: an object of another version does not find it, and the
// loader says so at start. A change of Doors, or of the structs it names, is a new version.
#pragma once

#include "shim/doors/divert.h"
#include "shim/loader/thread_state.h"

namespace unknot {

struct Doors {
    const Arena* arena;  // for Arena::contains, inline
    Served (*allocate)(Request, const void* caller);
    Served (*reallocate)(Reallocation, const void* caller);
    bool (*deallocate)(const Deallocation&, const void* caller);
    bool (*must_divert)(const void* caller);
    bool (*walks_never_wait)();                              // what stands in for rule 1 where that is given up
    std::size_t (*usable_size)(const void* block);           // of an arena block
    bool (*resize_in_place)(void* block, std::size_t size);  // an arena block; true: it has that room now
    void (*missing_vendor)(const char* object, const char* function);
    void (*missing_function)(const char* function);  // does not return; clang has no word for that here
};

extern "C" UNKNOT_EXPORT const Doors unknot_doors_1;

}  // namespace unknot
