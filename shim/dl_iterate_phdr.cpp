// SPDX-License-Identifier: Apache-2.0
// The exported dl_iterate_phdr. Rule 2: a thread inside the allocator never waits for the loader lock. Everybody else
// gets libc's own walk, waiting included: a profiler may rely on the lock to keep libraries mapped.
//
// No clean-up runs when a callback throws or jumps out (that would need an unwinder's personality, and this object
// links libc alone), so nothing here may need one: the thread's mark may stay too high and is healed by the loader's
// own word, and the write lock is handed over to libc's walk before the program's callback runs for the first time.
#include <link.h>

#include "shim/inner_code.h"
#include "shim/loaded_objects.h"
#include "shim/loader_lock.h"
#include "shim/own_stack.h"
#include "shim/platform.h"
#include "shim/slow_path.h"
#include "shim/witness.h"

namespace unknot {

using Callback = int (*)(dl_phdr_info*, std::size_t, void*);

namespace {

// How often a throw that looks as if it came from inside the allocator tries for the lock, while the loader edits its
// list: edits take microseconds, and nothing else holds the lock with an outdated snapshot.
constexpr int throw_attempts = 1000;

int walk_for_real(ThreadState& thread, const void* caller, Callback callback, void* data) {
    begin_walk(thread, __builtin_frame_address(0), caller);
    const int result = real_allocator.dl_iterate_phdr(callback, data);
    end_walk(thread);
    return result;
}

// The first call of the callback runs under libc's own hold of the (recursive) lock: ours ends there.
struct Handover {
    Callback callback;
    void* data;
    bool holding;

    static int call(dl_phdr_info* info, std::size_t size, void* self) {
        Handover& handover = *static_cast<Handover*>(self);
        handover.release();
        return handover.callback(info, size, handover.data);
    }
    void release() {
        if (holding) pthread_mutex_unlock(loader_locks.write_lock);
        holding = false;
    }
};

bool try_to_walk_for_real(ThreadState& thread, const void* caller, Callback callback, void* data, int& result) {
    if (pthread_mutex_trylock(loader_locks.write_lock) != 0) return false;
    if (!snapshot_is_current()) refresh_snapshot();
    Handover handover{callback, data, true};
    result = walk_for_real(thread, caller, Handover::call, &handover);
    handover.release();
    return true;
}

// An unwinder's or the allocator's walk.
int walk_without_waiting(ThreadState& thread, const void* caller, Callback callback, void* data) {
    int result = 0;
    if (try_to_walk_for_real(thread, caller, callback, data, result)) return result;
    note_contention();
    const StackFindings found = look_at_own_stack(__builtin_frame_address(0));
    if (!found.inside_allocator) return walk_for_real(thread, caller, callback, data);
    count(unknot_stats.walks_in_allocator);
    for (int i = 0; found.throwing && !snapshot_is_current() && i < throw_attempts; ++i) {
        raw::call(SYS_sched_yield);
        if (try_to_walk_for_real(thread, caller, callback, data, result)) return result;
    }
    if (!walk_snapshot(callback, data, result)) return walk_for_real(thread, caller, callback, data);
    count(unknot_stats.walks_from_snapshot);
    return result;
}

}  // namespace

extern "C" UNKNOT_EXPORT int dl_iterate_phdr(Callback callback, void* data) {
    ThreadState& thread = thread_state;
    const RealAllocator& real = thread.id == nobody ? ask_real() : real_allocator;
    if (settings.mode != Mode::protect && settings.mode != Mode::observe) return real.dl_iterate_phdr(callback, data);
    const void* caller = UNKNOT_CALLER;
    const InnerCode code = inner_code_at(caller);
    const bool may_be_inside = code == InnerCode::unwinder || code == InnerCode::allocator;
    if (settings.mode == Mode::observe) {
        if (may_be_inside && look_at_own_stack(__builtin_frame_address(0)).inside_allocator) {
            witness(unknot_stats.inside_allocator, caller);
        }
    } else if (settings.walk == WalkMode::nonblocking && loader_locks.write_lock != nullptr) {
        if (may_be_inside) return walk_without_waiting(thread, caller, callback, data);
        // Before the lock is taken for long: while this walk holds it, the snapshot is exact.
        if (!snapshot_is_current()) refresh_snapshot();
    }
    return walk_for_real(thread, caller, callback, data);
}

}  // namespace unknot
