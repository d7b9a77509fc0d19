// SPDX-License-Identifier: Apache-2.0
#include "shim/doors/remembered_walks.h"

#include "shim/log/witness.h"
#include "shim/system/object_names.h"

namespace unknot {

namespace {

// No return address. Stands in place of one while this thread changes what it remembers of it: a signal handler's walk
// in between sees that, and neither believes nor changes anything. (Should it jump out, this thread remembers no more.)
const void* const being_changed = reinterpret_cast<const void*>(1);

}  // namespace

void learn_plain_walk(ThreadState& thread, const void* caller) {
    if (thread.plain_walk.caller == being_changed) return;
    if (!snapshot_is_current() || !is_list_trusted()) return;
    PlainWalk& plain = thread.plain_walk;
    plain.caller = being_changed;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    plain.adds = __atomic_load_n(loader_version.adds, __ATOMIC_RELAXED);  // Relaxed, both: as in is_plain_walk.
    plain.loaded = __atomic_load_n(loader_version.loaded, __ATOMIC_RELAXED);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    plain.caller = caller;
}

// Remembered for the next walk of this thread: the answer is read before it is looked whose it is. An unwinder that was
// loaded after the last snapshot is told by its name.
InnerCode code_of(ThreadState& thread, const void* caller) {
    WalkCaller& last = thread.last_walk_caller;
    const std::uint32_t generation = inner_code_generation();
    const InnerCode remembered = last.code;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (last.address == caller && last.generation == generation) return remembered;
    const InnerCode known = inner_code_at(caller);
    if (known == InnerCode::none && !snapshot_is_current()) {
        WitnessRecord record{};
        name_object(caller, record);
        return inner_code_named(record.object);
    }
    if (last.address == being_changed) return known;
    last.address = being_changed;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    last.code = known;
    last.generation = generation;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    last.address = caller;
    return known;
}

}  // namespace unknot
