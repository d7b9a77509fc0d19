// SPDX-License-Identifier: Apache-2.0
// What a thread remembers of the last place that asked it for a walk: whether such a walk allocates nothing, and what
// code stands there.
#pragma once

#include "shim/doors/averted.h"
#include "shim/loader/inner_code.h"
#include "shim/loader/loaded_objects.h"
#include "shim/loader/thread_state.h"

namespace [[gnu::visibility("hidden")]] unknot {

// Relaxed: they change under the loader's write lock. Whoever does not own it gets an answer that may be old as soon as
// it is there, and then the snapshot is outdated for the length of this walk, as after every look of ours.
inline bool is_plain_walk(const ThreadState& thread, const void* caller) {
    const PlainWalk& plain = thread.plain_walk;
    return plain.caller == caller && nothing_to_notice() &&
           __atomic_load_n(loader_version.adds, __ATOMIC_RELAXED) == plain.adds &&
           __atomic_load_n(loader_version.loaded, __ATOMIC_RELAXED) == plain.loaded;
}

// Did an unwinder's code ask for this thread's last walk too, from here? The answer is read before it is looked whose
// it is: see code_of.
inline bool is_unwinders_again(const ThreadState& thread, const void* caller) {
    const WalkCaller& last = thread.last_walk_caller;
    const InnerCode code = last.code;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return last.address == caller && (code == InnerCode::unwinder || code == InnerCode::throwing) &&
           nothing_to_notice() && last.generation == inner_code_generation();
}

// The walk that has just ended, by code outside the allocator, went without a call of ours: the next one from there is
// plain, while the snapshot stays exact.
void learn_plain_walk(ThreadState& thread, const void* caller);
// A walk that is not plain begins, from another place perhaps. It may allocate, which would make this thread forget the
// place whose walks do not.
void set_plain_walk_aside(ThreadState& thread, const void* caller);
// Has the place been set aside, or not even that? Then it is the plain walk's again, unless the list has changed.
bool resume_plain_walk(ThreadState& thread, const void* caller);

// What code asks for this walk?
InnerCode code_of(ThreadState& thread, const void* caller);

}  // namespace unknot
