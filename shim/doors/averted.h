// SPDX-License-Identifier: Apache-2.0
// The evidence: a deadlock is averted when an allocator's walk meets the write lock busy while the lock's owner serves
// its allocations from the arena, before or after that moment in the same walk.
#pragma once

#include "shim/loader/fork_handlers.h"
#include "shim/loader/thread_state.h"

namespace [[gnu::visibility("hidden")]] unknot {

// Relaxed everywhere, here and in averted.cpp: for the statistics, and each thread clears its own when its walk is
// over, or before the next one.
inline std::atomic<int>& contended() {
    return cleared_in_children.load(std::memory_order_relaxed)->contended;
}
// Nobody waits for a walk, and this is no child of a fork that is still to be repaired.
inline bool nothing_to_notice() {
    return cleared_in_children.load(std::memory_order_relaxed)->contended.load(std::memory_order_relaxed) ==
           ClearedInChildren::uncontended;
}

// The last thread that diverted or deferred inside a walk that is not over.
extern constinit std::atomic<int> diverting;

// A walk from inside the allocator has found the loader's write lock busy.
void note_contention();
// This thread, which owns the write lock, was waited for and has diverted or deferred.
UNKNOT_COLD void note_averted(const ThreadState& thread);
// This thread, which owns the write lock, has diverted or deferred.
inline void note_diverting(ThreadState& thread) {
    thread.plain_walk.caller = nullptr;
    diverting.store(thread.id, std::memory_order_relaxed);
    if (__builtin_expect(contended().load(std::memory_order_relaxed) == thread.id, 0)) note_averted(thread);
}
// Has note_diverting been called in this walk of this thread's, and is there nothing new to note? Then it follows rule
// 1 and is known, and this is no child of a fork that is still to be repaired: what such a child finds is no
// `uncontended`. (A thread that is not known yet, and has nobody's id, is in no walk.)
inline bool has_diverted_in_walk(const ThreadState& thread) {
    return diverting.load(std::memory_order_relaxed) == thread.id && thread.walks != 0 && nothing_to_notice();
}
// The walk that this thread may have been in is over.
void forget_walk(const ThreadState& thread);

}  // namespace unknot
