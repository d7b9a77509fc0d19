// SPDX-License-Identifier: Apache-2.0
#include "shim/doors/enter.h"

#include "shim/allocator/real_allocator.h"
#include "shim/doors/averted.h"
#include "shim/doors/counting.h"
#include "shim/doors/defer.h"
#include "shim/doors/keep_errno.h"
#include "shim/loader/fork_handlers.h"
#include "shim/loader/loaded_objects.h"
#include "shim/loader/loader_lock.h"
#include "shim/log/log_output.h"
#include "shim/system/libc_functions.h"

namespace unknot {

constinit Arena arena{unknot_stats};
constinit Settings settings;
static_assert(alignof(Settings) % cache_line == 0 && sizeof(Settings) % cache_line == 0);
constinit std::atomic<Mode> current_mode{Mode::automatic};

namespace {

// Relaxed, everywhere: it says "yes" once, and a thread that still sees "no" goes the slow way once more.
alignas(cache_line) constinit std::atomic<bool> hot_path_open{false};

// What this thread compares its id with while nothing special is going on.
const int* quiet_word() {
    return watches_load_lock(mode()) ? loader_locks.load_owner : &nobody;
}

// Nothing is left to catch up with.
void go_quiet(ThreadState& thread) {
    if (thread.drain != Drain::nothing || !hot_path_open.load(std::memory_order_relaxed)) return;
    go_slow_while_owned(thread, quiet_word());
}

}  // namespace

bool walks_never_wait() {
    return follows_rule_2(mode()) && settings.walk == WalkMode::nonblocking && loader_locks.write_lock != nullptr &&
           has_snapshot();
}

void protect_from_now_on() {
    Mode expected = Mode::pass_through;
    if (!current_mode.compare_exchange_strong(expected, Mode::protect, std::memory_order_relaxed)) return;
    std::atomic_ref(unknot_stats.mode).store(Mode::protect, std::memory_order_relaxed);
}

void make_ready(ThreadState& thread) {
    if (is_unknown_child()) become_child(thread);
    if (thread.id == nobody) {
        KeepErrno keep;
        find_libc_functions();  // before the first call of one
        thread.id = id_in_mutexes();
        always_go_slow(thread);
    }
    if (!is_resolved() && !thread.resolving) {
        KeepErrno keep;
        thread.resolving = true;
        log_output::remember_stderr();  // before any constructor can have opened a file
        resolve_real_allocator();
        thread.resolving = false;
    }
    thread.ready = is_resolved();
}

void settle(ThreadState& thread, const void* caller) {
    arena.end_of_stretch(thread.cursor);
    if (thread.drain == Drain::at_once || (thread.drain == Drain::careful && !is_inner_code(caller))) {
        KeepErrno keep;
        drain(thread);
    }
    if (thread.walks != 0) return;
    forget_walk(thread);
    end_stretch(thread);
    go_quiet(thread);
}

const RealAllocator& ask_real() {
    enter();
    return real_allocator;
}

void begin_walk(ThreadState& thread, const void* frame, InnerCode caller) {
    count_walk(thread);
    if (thread.walks == 0 && !owns_write_lock(thread)) forget_walk(thread);
    if (thread.walks++ == 0) {
        thread.outermost_walk = frame;
        thread.walk_by_inner_code = caller != InnerCode::none;
    }
    always_go_slow(thread);
}

void end_walk(ThreadState& thread) {
    if (__builtin_expect(is_unknown_child(), 0)) become_child(thread);
    // Already 0 if a slow call found in between that the lock had been let go.
    if (thread.walks != 0) --thread.walks;
    if (thread.walks != 0) return;
    arena.publish(thread.cursor);
    // A plain walk of ours is still going on further up.
    if (loader_locks.probe == Probe::owner_words && owns_write_lock(thread)) return;
    forget_walk(thread);
    if (!owns_loader_lock(thread)) {
        end_stretch(thread);
        arena.end_of_stretch(thread.cursor);
        if (thread.drain != Drain::nothing && !thread.walk_by_inner_code) {
            KeepErrno keep;
            drain(thread);
        }
    }
    go_quiet(thread);
}

void open_hot_path() {
    hot_path_open.store(true, std::memory_order_relaxed);
    ThreadState& thread = enter();
    if (thread.walks == 0) go_quiet(thread);
}

void thread_ends(void* state) {
    ThreadState& thread = *static_cast<ThreadState*>(state);
    thread.has_exit_hook = false;  // what comes after us arms it again
    if (thread.drain != Drain::nothing && !owns_loader_lock(thread)) drain(thread);
    publish_walks(thread);
    end_stretch(thread);
    arena.retire(thread.cursor);
    arena.publish(thread.cursor);
    thread.cursor.fleeting = true;  // in the last round of key destructors nobody comes after what comes after us
}

}  // namespace unknot
