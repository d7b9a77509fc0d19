// SPDX-License-Identifier: Apache-2.0
// What happens when the hot path's question is not answered by "real". Everything here is cold; the entry points'
// slow halves (entry_points_slow.cpp) ask, and forward what is not handled.
#pragma once

#include "policy/settings.h"
#include "shim/arena/arena.h"
#include "shim/doors/deferred_frees.h"
#include "shim/loader/thread_state.h"

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

extern constinit Arena arena;
extern constinit Settings settings;
// What the real allocator's realloc(p, 0) does: true, it frees and returns NULL; false, it returns a block. Asked of
// the allocator itself at start.
extern constinit bool realloc_zero_frees;

// `caller` is the return address into the code that called the entry point.
// By value: no local of the slow half is still in use when it forwards, so it forwards by a jump, and the stand-ins too
// find their caller's address where they expect it.
Served divert_allocation(Request request, const void* caller);
Served divert_reallocation(Reallocation what, const void* caller);
// True: done (given back to the arena, or deferred).
bool divert_deallocation(const Deallocation& call, const void* caller);

// Is the next call of this thread one that may not enter the allocator? If not, catches up like every other slow call.
bool must_divert(const void* caller);

// The real allocator, for questions that lock nothing.
const struct RealAllocator& ask_real();

// This thread is about to run a walk for real; nothing it allocates until end_walk goes to the allocator.
void begin_walk(ThreadState& thread, const void* frame, InnerCode caller);
void end_walk(ThreadState& thread);
void publish_walks(ThreadState& thread);
// Walks are counted in TLS and published in batches: a storm of walks would fight for the counter's line.
inline constexpr std::uint32_t walks_per_publication = 256;

// The last owner of the write lock whom an allocator's walk would have waited for. Relaxed everywhere: for the
// statistics, and each thread clears its own when its walk is over, or before the next one.
extern constinit std::atomic<int> contended;

// For the statistics: a walk from inside the allocator has found the loader's write lock busy. If its owner serves its
// allocations from the arena, before or after this moment in the same walk, rule 1 has averted a deadlock.
void note_contention();

// Runs every deferred free. This thread owns no loader lock and does not stand inside the allocator.
void drain(ThreadState& thread);

// The mode is decided: from now on threads take the hot path.
void open_hot_path();
// pthread_key destructor.
void thread_ends(void* state);

}  // namespace unknot
