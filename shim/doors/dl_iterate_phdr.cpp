// SPDX-License-Identifier: Apache-2.0
// The exported dl_iterate_phdr. Rule 2: a thread inside the allocator never waits for the loader lock. Everybody but an
// unwinder gets libc's own walk, waiting included: a profiler may rely on the lock to keep libraries mapped.
//
// No clean-up runs when a callback throws or jumps out (that would need an unwinder's personality, and this object
// links libc alone), so nothing here may need one: the thread's mark may stay too high and is healed by the loader's
// own word, and the write lock is handed over to libc's walk before the program's callback runs for the first time.
#include <link.h>

#include "shim/allocator/real_allocator.h"
#include "shim/doors/averted.h"
#include "shim/doors/counting.h"
#include "shim/doors/enter.h"
#include "shim/loader/fork_handlers.h"
#include "shim/loader/inner_code.h"
#include "shim/loader/loaded_objects.h"
#include "shim/loader/loader_lock.h"
#include "shim/loader/own_stack.h"
#include "shim/log/witness.h"
#include "shim/system/libc_functions.h"
#include "shim/system/object_names.h"
#include "shim/system/platform.h"

namespace unknot {

using Callback = int (*)(dl_phdr_info*, std::size_t, void*);

namespace {

// How often a walk that needs the real list tries for the lock, while the loader edits it: edits take microseconds.
constexpr int edit_attempts = 1000;
// How often it tries before it asks what stands on its stack: most walks are over by then.
constexpr int brief_attempts = 1000;

// Stands before the program's callback. Once libc calls it, libc's own hold of the (recursive) lock protects the list:
// ours ends there. And from there on, for as long as this walk keeps others waiting, the snapshot is exact.
struct FirstCall {
    Callback callback;
    void* data;
    bool holding;
    bool done = false;

    static int call(dl_phdr_info* info, std::size_t size, void* self) {
        FirstCall& first = *static_cast<FirstCall*>(self);
        if (!first.done) {
            first.done = true;
            if (!snapshot_is_current()) refresh_snapshot();
            first.release();
        }
        return first.callback(info, size, first.data);
    }
    void release() {
        if (holding) unlock_mutex(*loader_locks.write_lock);
        holding = false;
    }
};

bool keeps_snapshot() {
    return settings.mode == Mode::protect && settings.walk == WalkMode::nonblocking &&
           loader_locks.write_lock != nullptr;
}

// The walk that has just ended, by code outside the allocator, went without a call of ours: the next one from there is
// plain. In an order that a signal handler's walk in between cannot mix up.
void learn_plain_walk(ThreadState& thread, const void* caller) {
    if (!keeps_snapshot() || !snapshot_is_current()) return;
    PlainWalk& plain = thread.plain_walk;
    plain.caller = nullptr;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    plain.adds = __atomic_load_n(loader_version.adds, __ATOMIC_RELAXED);  // Relaxed, both: as in is_plain_walk.
    plain.loaded = __atomic_load_n(loader_version.loaded, __ATOMIC_RELAXED);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    plain.caller = caller;
}

// Nobody waits for this thread's walks, and this is no child of a fork that is still to be repaired.
bool nothing_to_notice() {
    return cleared_in_children.load(std::memory_order_relaxed)->contended.load(std::memory_order_relaxed) ==
           ClearedInChildren::uncontended;
}

// Relaxed: they change under the loader's write lock. Whoever does not own it gets an answer that may be old as soon as
// it is there, and then the snapshot is outdated for the length of this walk, as after every look of ours.
bool is_plain_walk(const ThreadState& thread, const void* caller) {
    const PlainWalk& plain = thread.plain_walk;
    return plain.caller == caller && nothing_to_notice() &&
           __atomic_load_n(loader_version.adds, __ATOMIC_RELAXED) == plain.adds &&
           __atomic_load_n(loader_version.loaded, __ATOMIC_RELAXED) == plain.loaded;
}

// libc's walk. `holding`: this thread has taken the write lock for it.
int walk_for_real(ThreadState& thread, InnerCode caller, Callback callback, void* data, bool holding = false) {
    begin_walk(thread, __builtin_frame_address(0), caller);
    int result = 0;
    // Nothing to do at the first call while the snapshot is exact. A library that comes in before libc has the lock
    // leaves it outdated for the length of this walk: walks from inside the allocator are then served what is still
    // there.
    if (holding || (keeps_snapshot() && !snapshot_is_current())) {
        FirstCall first{.callback = callback, .data = data, .holding = holding};
        result = real_allocator.dl_iterate_phdr(FirstCall::call, &first);
        first.release();
    } else {
        result = real_allocator.dl_iterate_phdr(callback, data);
    }
    end_walk(thread);
    return result;
}

bool try_to_walk_for_real(ThreadState& thread, InnerCode caller, Callback callback, void* data, int& result) {
    // Relaxed: a guess, so that an attempt without hope leaves the owner's cache line alone. Our own walks nest.
    const int owner = __atomic_load_n(loader_locks.write_owner, __ATOMIC_RELAXED);
    if (owner != nobody && owner != thread.id) return false;
    if (try_to_lock_mutex(*loader_locks.write_lock) != 0) return false;
    result = walk_for_real(thread, caller, callback, data, true);
    return true;
}

// An unwinder's or the allocator's walk. Never waits while the snapshot is exact, whether the allocator is on the stack
// or not: the answer is the same, and an unwinder may hold a lock of its own that another thread waits for inside the
// allocator (libunwind's register-state cache, up to 1.8.3).
int walk_without_waiting(ThreadState& thread, InnerCode caller, Callback callback, void* data) {
    int result = 0;
    for (int i = 0; i < brief_attempts; ++i) {
        if (try_to_walk_for_real(thread, caller, callback, data, result)) return result;
    }
    note_contention();
    StackFindings found = look_at_own_stack(__builtin_frame_address(0), brief_scan_limit);
    // Outdated: the loader edits its list, or somebody walks past our walk. A throw that misses its library would end
    // the process, so it tries harder; and who is not inside the allocator may wait.
    if (!snapshot_is_current()) {
        found = look_at_own_stack(__builtin_frame_address(0), scan_limit);
        const bool may_wait = !found.inside_allocator;
        for (int i = 0; (found.throwing || may_wait) && !snapshot_is_current() && i < edit_attempts; ++i) {
            raw::call(SYS_sched_yield);
            if (try_to_walk_for_real(thread, caller, callback, data, result)) return result;
        }
        if (may_wait && !snapshot_is_current()) return walk_for_real(thread, caller, callback, data);
    }
    if (found.inside_allocator) count(unknot_stats.walks_in_allocator);
    if (!walk_snapshot(callback, data, result)) return walk_for_real(thread, caller, callback, data);
    count(unknot_stats.walks_from_snapshot);
    return result;
}

// What code asks for this walk? Remembered for the next walk of this thread, in an order that a signal handler's walk
// in between cannot mix up. An unwinder that was loaded after the last snapshot is told by its name.
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
    last.address = nullptr;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    last.code = known;
    last.generation = generation;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    last.address = caller;
    return known;
}

bool may_be_inside_allocator(InnerCode code) {
    return code == InnerCode::allocator || code == InnerCode::unwinder || code == InnerCode::throwing;
}

UNKNOT_COLD int dl_iterate_phdr_slow(Callback callback, void* data) {
    ThreadState& thread = thread_state;
    const RealAllocator& real = thread.id == nobody ? ask_real() : real_allocator;
    if (settings.mode != Mode::protect && settings.mode != Mode::observe) return real.dl_iterate_phdr(callback, data);
    const void* return_address = UNKNOT_CALLER;
    const InnerCode caller = code_of(thread, return_address);
    if (settings.mode == Mode::observe && may_be_inside_allocator(caller) &&
        look_at_own_stack(__builtin_frame_address(0)).inside_allocator) {
        witness(unknot_stats.inside_allocator, return_address);
    }
    if (keeps_snapshot() && may_be_inside_allocator(caller)) {
        return walk_without_waiting(thread, caller, callback, data);
    }
    const std::uint32_t calls = thread.slow_calls;
    const int result = walk_for_real(thread, caller, callback, data);
    if (caller == InnerCode::none && thread.slow_calls == calls) learn_plain_walk(thread, return_address);
    return result;
}

}  // namespace

// A storm of walks that allocate nothing passes here with a mark and a jump. Nothing is done at such a walk's end: the
// mark sends the thread's next allocation the slow way, and the owner word says there that the walk is over.
extern "C" UNKNOT_EXPORT int dl_iterate_phdr(Callback callback, void* data) {
    ThreadState& thread = thread_state;
    if (!is_plain_walk(thread, UNKNOT_CALLER) || thread.unpublished_walks == walks_per_publication - 1) {
        return dl_iterate_phdr_slow(callback, data);
    }
    ++thread.unpublished_walks;
    // As always_go_slow: a thread with a plain walk has its own id in slow_at.
    thread.watched = &thread.id;
    return real_allocator.dl_iterate_phdr(callback, data);
}

}  // namespace unknot
