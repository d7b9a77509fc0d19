// SPDX-License-Identifier: Apache-2.0
#include "shim/doors/remembered_walks.h"

#include "shim/log/witness.h"
#include "shim/system/object_names.h"

namespace unknot {

namespace {

// No return address. Stands in place of one while this thread changes what it remembers of it: a signal handler's walk
// in between sees that, and neither believes nor changes anything. (Should it jump out, this thread remembers no more.)
const void* const being_changed = reinterpret_cast<const void*>(1);

void become_plain_walk(ThreadState& thread, const void* caller) {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    thread.plain_walk.caller = caller;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    // It may have used up the budget of a stretch while no place was there to be forgotten (go_slow_when_free).
    if (thread.slow_at != thread.id) thread.plain_walk.caller = nullptr;
}

}  // namespace

void learn_plain_walk(ThreadState& thread, const void* caller) {
    if (thread.plain_walk.caller == being_changed) return;
    if (!snapshot_is_current() || !is_list_trusted()) return;
    PlainWalk& plain = thread.plain_walk;
    plain.caller = being_changed;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    // Relaxed, both: as in is_plain_walk.
    const std::uint64_t adds = __atomic_load_n(loader_version.adds, __ATOMIC_RELAXED);
    const std::uint32_t loaded = __atomic_load_n(loader_version.loaded, __ATOMIC_RELAXED);
    if (plain.adds != adds || plain.loaded != loaded) plain = {being_changed, adds, loaded, {}};
    become_plain_walk(thread, caller);
}

void set_plain_walk_aside(ThreadState& thread, const void* caller) {
    PlainWalk& plain = thread.plain_walk;
    const void* const last = plain.caller;
    if (last == nullptr || last == being_changed || last == caller) return;
    plain.caller = being_changed;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    // In the first gap, which a resumed walk may have left; where there is none the one is forgotten that waits
    // longest.
    const void* moved = last;
    for (const void*& place : plain.set_aside) {
        if (moved == nullptr) break;
        const void* const next = place;
        place = moved;
        moved = next;
    }
    std::atomic_signal_fence(std::memory_order_seq_cst);
    plain.caller = nullptr;
}

bool resume_plain_walk(ThreadState& thread, const void* caller) {
    PlainWalk& plain = thread.plain_walk;
    const void* const last = plain.caller;
    if (last == being_changed) return false;
    if (last == caller) return is_plain_walk(thread, caller);
    for (const void*& place : plain.set_aside) {
        if (place != caller) continue;
        plain.caller = being_changed;
        std::atomic_signal_fence(std::memory_order_seq_cst);
        place = last;
        become_plain_walk(thread, caller);
        return is_plain_walk(thread, caller);
    }
    return false;
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
