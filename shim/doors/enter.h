// SPDX-License-Identifier: Apache-2.0
// What every slow call passes first, and what it leaves behind: the table is filled, this thread is known, what it put
// off while it owned a loader lock is caught up with.
#pragma once

#include "policy/rules.h"
#include "policy/settings.h"
#include "shim/arena/arena.h"
#include "shim/loader/fork_handlers.h"
#include "shim/loader/thread_state.h"

namespace [[gnu::visibility("hidden")]] unknot {

extern constinit Arena arena;
extern constinit Settings settings;  // as asked for

// What this process does. Relaxed everywhere: it changes once after start at most, from pass_through to protect, and a
// thread that does not know yet is as safe as it was.
extern constinit std::atomic<Mode> current_mode;
inline Mode mode() {
    return current_mode.load(std::memory_order_relaxed);
}
// `auto`, in a process whose allocator takes no stack traces: one has been taken inside it all the same, while the
// loader's lock was busy.
void protect_from_now_on();

// Is rule 2 in force: does a walk from inside the allocator never wait for the write lock?
bool walks_never_wait();

// The guard: this thread, known, and the table filled (or being filled, further up on this very stack).
UNKNOT_COLD void make_ready(ThreadState& thread);
inline ThreadState& enter() {
    ThreadState& thread = thread_state;
    ++thread.slow_calls;
    if (__builtin_expect(!thread.ready || is_unknown_child(), 0)) make_ready(thread);
    return thread;
}

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
