// SPDX-License-Identifier: Apache-2.0
// What every slow call passes first, and what it leaves behind: the table is filled, this thread is known, what it put
// off while it owned a loader lock is caught up with.
#pragma once

#include "policy/settings.h"
#include "shim/arena/arena.h"
#include "shim/loader/thread_state.h"

namespace [[gnu::visibility("hidden")]] unknot {

extern constinit Arena arena;
extern constinit Settings settings;
// What the real allocator's realloc(p, 0) does: true, it frees and returns NULL; false, it returns a block. Asked of
// the allocator itself at start.
extern constinit bool realloc_zero_frees;

// Is rule 2 in force: does a walk from inside the allocator never wait for the write lock?
bool walks_never_wait();

// The guard: this thread, known, and the table filled (or being filled, further up on this very stack).
ThreadState& enter();

// This thread owns no loader lock: catch up with what waits, and go back to the quiet word. `caller` is the return
// address into the code that called the entry point.
void settle(ThreadState& thread, const void* caller);

// From here to end_walk a walk of this thread runs for real; nothing that it allocates goes to the allocator.
void begin_walk(ThreadState& thread, const void* frame, InnerCode caller);
void end_walk(ThreadState& thread);

// The real allocator, for questions that lock nothing.
const struct RealAllocator& ask_real();

// The mode is decided: from now on threads take the hot path.
void open_hot_path();
// pthread_key destructor.
void thread_ends(void* state);

}  // namespace unknot
