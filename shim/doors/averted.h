// SPDX-License-Identifier: Apache-2.0
// The evidence: a deadlock is averted when an allocator's walk meets the write lock busy while the lock's owner serves
// its allocations from the arena, before or after that moment in the same walk.
#pragma once

#include "shim/loader/thread_state.h"

namespace [[gnu::visibility("hidden")]] unknot {

// A walk from inside the allocator has found the loader's write lock busy.
void note_contention();
// This thread, which owns the write lock, has diverted or deferred.
void note_diverting(ThreadState& thread);
// The walk that this thread may have been in is over.
void forget_walk(const ThreadState& thread);

}  // namespace unknot
