// SPDX-License-Identifier: Apache-2.0
// What happens when the hot path's question is not answered by "real": allocations made under a loader lock come from
// the arena, frees go back to it or are deferred. Everything here is cold; the slow halves of the entry points
// (slow_entry_points.cpp) ask, and forward what is not handled.
#pragma once

#include "shim/arena/arena.h"
#include "shim/doors/deferred_frees.h"

namespace [[gnu::visibility("hidden")]] unknot {

// How an allocation function says that there is no memory.
enum class Failure : std::uint8_t {
    c,            // NULL and ENOMEM
    cxx,          // new_handler, then std::bad_alloc
    cxx_nothrow,  // NULL
};

struct Request {
    std::size_t size;
    std::size_t alignment = 16;
    Fill fill = Fill::as_is;
    Failure failure = Failure::c;
};

struct Reallocation {
    void* pointer;
    Request request;
    // The real allocator's own way to a block like that, for one that leaves the arena. nullptr: its malloc.
    void* (*fresh)(const void* call) = nullptr;
    const void* call = nullptr;
};

struct Served {
    bool yes;     // false: the call is the real allocator's
    void* block;  // nullptr: failed, and errno says so where the contract wants it
};

// A block of the arena. No question about locks, and no look at whether we are protecting: the arena takes its own back
// always.
void take_back(void* block);

// `caller` is the return address into the code that called the entry point.
// By value: no local of the slow half is still in use when it forwards, so it forwards by a jump, and the stand-ins too
// find their caller's address where they expect it.
Served divert_allocation(Request request, const void* caller);
Served divert_reallocation(Reallocation what, const void* caller);
// True: done (given back to the arena, or deferred).
[[nodiscard]] bool divert_deallocation(const Deallocation& call, const void* caller);

// Is the next call of this thread one that may not enter the allocator? If not, catches up like every other slow call.
bool must_divert(const void* caller);

}  // namespace unknot
