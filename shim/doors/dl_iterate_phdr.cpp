// SPDX-License-Identifier: Apache-2.0
// The exported dl_iterate_phdr. Rule 2: a thread inside the allocator never waits for the loader lock. Everybody but an
// unwinder gets libc's own walk, waiting included: a profiler may rely on the lock to keep libraries mapped.
//
// No clean-up runs when a callback throws or jumps out (that would need an unwinder's personality, and this object
// links libc alone), so nothing here may need one: the thread's mark may stay too high and is healed by the loader's
// own word, and the write lock is handed over to libc's walk before the program's callback runs for the first time.
//
// A signal handler may walk at every instruction of ld.so and of ours. Where its thread owns the write lock already, it
// stands in a callback or in ld.so's own edit, and an unwinder is served from the snapshot if that is exact: that
// touches neither the lock nor the list. Where the interrupted code is on its way in or out of the lock, so that it
// holds the lock and is not its owner, nobody but an unwinder has to wait for ever, as without the shim.
#include <link.h>

#include "shim/allocator/real_allocator.h"
#include "shim/doors/averted.h"
#include "shim/doors/counting.h"
#include "shim/doors/enter.h"
#include "shim/doors/remembered_walks.h"
#include "shim/loader/fork_handlers.h"
#include "shim/loader/inner_code.h"
#include "shim/loader/loaded_objects.h"
#include "shim/loader/loader_lock.h"
#include "shim/loader/native_walk.h"
#include "shim/loader/own_stack.h"
#include "shim/loader/return_addresses.h"
#include "shim/log/witness.h"
#include "shim/system/libc_functions.h"
#include "shim/system/platform.h"

namespace unknot {

using Callback = int (*)(dl_phdr_info*, std::size_t, void*);

namespace {

// How often a walk that needs the real list tries for the lock, while the loader edits it, and how long it rests in
// between: edits take microseconds, or as long as the kernel takes to unmap a library.
constexpr int edit_attempts = 1000;
constexpr long edit_rest_ns = 100'000;
// How often it tries before it asks what stands on its stack: most walks are over by then.
constexpr int brief_attempts = 1000;
// Of those, how often it may find the lock busy and without an owner, which it is for an instruction or two.
constexpr int brief_attempts_of_nobody = 100;

// Rule 2 is in force, without a wrapper, and stays so: an unwinder's walk has been served without the lock. Relaxed,
// everywhere: who does not know yet asks.
alignas(cache_line) constinit std::atomic<bool> unwinders_need_no_lock{false};

bool keeps_snapshot() {
    return follows_rule_2(mode()) && settings.walk == WalkMode::nonblocking && loader_locks.write_lock != nullptr;
}

// The mark of a walk that is under way, where a signal handler has taken it for a walk that is over: between the mark
// and the moment at which libc owns the lock, nothing tells the two apart.
void keep_mark(ThreadState& thread) {
    if (thread.walks != 0) return;
    thread.walks = 1;
    always_go_slow(thread);
}

// Stands before the program's callback. Once libc calls it, libc's own hold of the (recursive) lock protects the list:
// ours ends there. And from there on, for as long as this walk keeps others waiting, the snapshot is exact.
struct FirstCall {
    Callback callback;
    void* data;
    bool holding;  // this thread has taken the write lock for this walk
    bool nested;   // it owned it before
    bool done = false;

    static int call(dl_phdr_info* info, std::size_t size, void* self) {
        FirstCall& first = *static_cast<FirstCall*>(self);
        keep_mark(thread_state);
        if (!first.done) {
            first.done = true;
            if (keeps_snapshot() && !first.nested && !snapshot_is_current()) refresh_snapshot();
            first.release();
        }
        return is_whole(*info) ? first.callback(info, size, first.data) : 0;
    }
    void release() {
        if (holding) unlock_mutex(*loader_locks.write_lock);
        holding = false;
    }
};

bool may_be_inside_allocator(InnerCode code) {
    return code == InnerCode::allocator || code == InnerCode::unwinder || code == InnerCode::throwing;
}

// The loader's list, through `walk`. `holding`: this thread has taken the write lock for it.
int walk_for_real(ThreadState& thread, InnerCode caller, WalkFunction walk, Callback callback, void* data,
                  bool holding = false) {
    begin_walk(thread, __builtin_frame_address(0), caller);
    int result = 0;
    // An unwinder's callback allocates nothing, so it needs no mark. Nothing else is to be done while the snapshot is
    // exact. A library that comes in before libc has the lock leaves it outdated for the length of this walk: walks
    // from inside the allocator are then served what is still there.
    if (holding || !may_be_inside_allocator(caller) || !is_list_trusted() ||
        (keeps_snapshot() && !snapshot_is_current())) {
        const bool nested = !holding && owns_write_lock(thread);
        FirstCall first{.callback = callback, .data = data, .holding = holding, .nested = nested};
        result = walk(FirstCall::call, &first);
        first.release();
    } else {
        result = walk(callback, data);
    }
    end_walk(thread);
    return result;
}

int pass_on(ThreadState& thread, InnerCode caller, Callback callback, void* data) {
    return walk_for_real(thread, caller, real_allocator.dl_iterate_phdr, callback, data);
}

int owner_now(const int* owner) {
    return __atomic_load_n(owner, __ATOMIC_RELAXED);  // Relaxed: a guess, unless it is this thread
}

// Not through somebody's wrapper: its locks would be taken under the loader's.
bool try_to_walk_for_real(ThreadState& thread, InnerCode caller, Callback callback, void* data, int& result) {
    // So that an attempt without hope leaves the owner's cache line alone.
    if (owner_now(loader_locks.write_owner) != nobody) return false;
    if (try_to_lock_mutex(*loader_locks.write_lock) != 0) return false;
    result = walk_for_real(thread, caller, native_walk, callback, data, true);
    return true;
}

bool walk_from_snapshot(Callback callback, void* data, int& result) {
    const bool outdated = !snapshot_is_current();
    if (!walk_snapshot(callback, data, result)) return false;
    count(unknot_stats.walks_from_snapshot);
    if (outdated) count(unknot_stats.walks_from_outdated);
    return true;
}

// What an unwinder looks for is the first word of its data (return_addresses.h), or something that its callback passes
// over; and its data is a local variable of its caller's. Anything else is not looked at: the file's name alone makes
// an unwinder, and a stranger of such a name may hand over a number.
inline const void* sought_by(const void* data) {
    constexpr std::uintptr_t nearby = std::uintptr_t{16} << 10;
    const auto at = reinterpret_cast<std::uintptr_t>(data);
    const bool is_local = at - reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) < nearby;
    return is_local && at % sizeof(void*) == 0 ? *static_cast<const void* const*>(data) : nullptr;
}

// An unwinder's walk while nobody is in its way: nobody owns the lock, and the list is whole and the one that was
// copied. It takes no lock itself, so unwinders do not wait for each other.
[[gnu::always_inline]] inline bool walk_without_lock(ThreadState& thread, Callback callback, void* data, int& result) {
    if (owner_now(loader_locks.write_owner) != nobody || !is_list_trusted()) return false;
    if (!walk_exact_snapshot(callback, data, sought_by(data), result)) return false;
    count_walk(thread);
    return true;
}

// An unwinder's walk, where this thread owns the write lock already.
int walk_as_owner(ThreadState& thread, InnerCode caller, Callback callback, void* data) {
    int result = 0;
    const bool untouched = snapshot_is_current() || is_being_released(*loader_locks.write_lock);
    if (untouched && walk_from_snapshot(callback, data, result)) return result;
    return walk_for_real(thread, caller, native_walk, callback, data);
}

// Outdated, and what the unwinder looks for is not in it: somebody edits the loader's list, or walks past our walk. A
// throw that misses its library would end the process, so it waits if it can; everybody else tries harder only.
bool try_while_outdated(ThreadState& thread, InnerCode caller, Callback callback, void* data,
                        const StackFindings& found, int& result) {
    if (found.inside_allocator && !found.throwing) return false;
    int of_nobody = 0;
    for (int i = 0; i < edit_attempts && !snapshot_is_current(); ++i) {
        // Busy for so long, and nobody's: it is this thread that has been interrupted on its way in or out. What looks
        // like a throw in a handler is mostly what one has left behind on the stack.
        of_nobody = owner_now(loader_locks.write_owner) == nobody ? of_nobody + 1 : 0;
        if (of_nobody == (found.interrupted ? 1 : edit_attempts)) return false;
        raw::rest(edit_rest_ns);
        if (try_to_walk_for_real(thread, caller, callback, data, result)) return true;
    }
    if (!found.throwing || found.inside_allocator || snapshot_is_current()) return false;
    result = pass_on(thread, caller, callback, data);
    return true;
}

// An unwinder's or the allocator's walk. Never waits while the snapshot is exact, whether the allocator is on the stack
// or not: the answer is the same, and an unwinder may hold a lock of its own that another thread waits for inside the
// allocator (libunwind's register-state cache, up to 1.8.3).
int walk_without_waiting(ThreadState& thread, InnerCode caller, const void* place, Callback callback, void* data) {
    int result = 0;
    StackFindings found{};
    if (is_walk_wrapped()) {
        // A wrapper may know of more objects than the loader does. Who is not inside the allocator gets what it says.
        found = look_at_own_stack(__builtin_frame_address(0), place);
        if (!found.inside_allocator || found.throwing) return pass_on(thread, caller, callback, data);
    }
    if (caller != InnerCode::allocator && walk_without_lock(thread, callback, data, result)) {
        unwinders_need_no_lock.store(true, std::memory_order_relaxed);
        return result;
    }
    if (owns_write_lock(thread)) return walk_as_owner(thread, caller, callback, data);
    for (int i = 0, of_nobody = 0; i < brief_attempts && of_nobody < brief_attempts_of_nobody; ++i) {
        if (try_to_walk_for_real(thread, caller, callback, data, result)) return result;
        if (owner_now(loader_locks.write_owner) == nobody) ++of_nobody;
    }
    note_contention();
    found = look_at_own_stack(__builtin_frame_address(0), place, brief_scan_limit);
    if (found.inside_allocator) {
        count(unknot_stats.walks_in_allocator);
        if (settings.mode == Mode::automatic) protect_from_now_on();
    }
    // What an unwinder finds in a snapshot is right, however old that is (loaded_objects.h), and its callback says by
    // its result that it has. A throw that waited for more, with its unwinder's own lock taken, could wait for ever:
    // a sample that has interrupted the loader lock's owner waits for that lock.
    const bool exact = snapshot_is_current();
    const bool asked = (exact || caller != InnerCode::allocator) && walk_from_snapshot(callback, data, result);
    if (asked && (exact || result != 0)) return result;
    // A sample of this thread on its way in or out of the lock, or in its own dlopen or dlclose, where nobody else
    // edits the list, must not take longer than until the next: that would meet the same instruction again.
    const bool is_own = owner_now(loader_locks.load_owner) == thread.id;
    const bool of_nobody = owner_now(loader_locks.write_owner) == nobody;
    if (!exact && !(found.interrupted ? is_own || of_nobody : is_own && !found.throwing)) {
        found = look_at_own_stack(__builtin_frame_address(0), place);
        if (try_while_outdated(thread, caller, callback, data, found, result)) return result;
    }
    if (asked && !snapshot_is_current()) return result;
    if (walk_from_snapshot(callback, data, result)) return result;
    return pass_on(thread, caller, callback, data);
}

bool looks_like_unwinding(const void* data) {
    return looks_for_own_return_address(data, __builtin_frame_address(0));
}

// Does an unwinder call from here, one without a name: a part of the program, or of a library? The last such place is
// remembered, so that a trace asks its stack once.
bool is_unwinders_place(ThreadState& thread, const void* place, const void* data) {
    if (thread.unwinding_place == place) return true;
    if (!looks_like_unwinding(data)) return false;
    thread.unwinding_place = place;
    return true;
}

// Code that no name tells to be an unwinder. Where it would have to wait, what it hands to its callback is looked at:
// an unwinder's walk is served like any other, everybody else waits. An unwinder's place never becomes a plain walk's,
// which would wait unasked.
int walk_by_others(ThreadState& thread, const void* place, Callback callback, void* data) {
    const std::uint32_t calls = thread.slow_calls;
    int result = 0;
    set_plain_walk_aside(thread, place);
    if (!keeps_snapshot() || is_walk_wrapped() || owns_write_lock(thread)) {
        result = pass_on(thread, InnerCode::none, callback, data);
    } else if (!try_to_walk_for_real(thread, InnerCode::none, callback, data, result)) {
        if (looks_like_unwinding(data)) return walk_without_waiting(thread, InnerCode::unwinder, place, callback, data);
        result = pass_on(thread, InnerCode::none, callback, data);
    }
    if (thread.slow_calls == calls && keeps_snapshot() && !is_unwinders_place(thread, place, data)) {
        learn_plain_walk(thread, place);
    }
    return result;
}

UNKNOT_COLD int dl_iterate_phdr_slow(Callback callback, void* data, const void* return_address) {
    ThreadState& thread = thread_state;
    // Not every walk: what counts as a slow call must not be a plain walk's.
    const RealAllocator& real = !thread.ready || is_unknown_child() ? ask_real() : real_allocator;
    if (!follows_rule_2(mode()) && mode() != Mode::observe) return real.dl_iterate_phdr(callback, data);
    const InnerCode caller = code_of(thread, return_address);
    if (mode() == Mode::observe && may_be_inside_allocator(caller) &&
        look_at_own_stack(__builtin_frame_address(0), return_address).inside_allocator) {
        witness(unknot_stats.inside_allocator, return_address);
    }
    if (keeps_snapshot() && may_be_inside_allocator(caller)) {
        return walk_without_waiting(thread, caller, return_address, callback, data);
    }
    if (caller == InnerCode::none) return walk_by_others(thread, return_address, callback, data);
    return pass_on(thread, caller, callback, data);
}

// Nothing is done at a plain walk's end: its mark sends the thread's next allocation the slow way, and the owner word
// says there that the walk is over. As always_go_slow: a thread with a plain walk has its own id in slow_at.
[[gnu::always_inline]] inline int walk_plainly(ThreadState& thread, Callback callback, void* data) {
    ++thread.unpublished_walks;
    thread.watched = &thread.id;
    return real_allocator.dl_iterate_phdr(callback, data);
}

// An earlier plain walk's place, or one whose walks are to be published? What a place is takes long to find out.
UNKNOT_COLD int dl_iterate_phdr_resumed(Callback callback, void* data, const void* return_address) {
    ThreadState& thread = thread_state;
    if (!resume_plain_walk(thread, return_address)) return dl_iterate_phdr_slow(callback, data, return_address);
    if (thread.unpublished_walks == walks_per_publication - 1) publish_walks(thread);
    return walk_plainly(thread, callback, data);
}

// Not the last plain walk again: is it like this thread's last one, an unwinder's? Nothing but what may have changed
// since is asked. It is jumped to from the exported function, so whose return address this is stays the same.
[[gnu::hot, gnu::noinline]] int dl_iterate_phdr_again(Callback callback, void* data) {
    ThreadState& thread = thread_state;
    const void* return_address = UNKNOT_CALLER;
    int result = 0;
    if (is_unwinders_again(thread, return_address) && unwinders_need_no_lock.load(std::memory_order_relaxed) &&
        walk_without_lock(thread, callback, data, result)) {
        return result;
    }
    return dl_iterate_phdr_resumed(callback, data, return_address);
}

// A jump out of the exported function's straight line.
UNKNOT_COLD int not_a_plain_walk(Callback callback, void* data) {
    return dl_iterate_phdr_again(callback, data);
}

}  // namespace

// A storm of walks that allocate nothing passes here with a mark and a jump.
extern "C" UNKNOT_EXPORT int dl_iterate_phdr(Callback callback, void* data) {
    ThreadState& thread = thread_state;
    if (!is_plain_walk(thread, UNKNOT_CALLER) || thread.unpublished_walks == walks_per_publication - 1) {
        return not_a_plain_walk(callback, data);
    }
    return walk_plainly(thread, callback, data);
}

}  // namespace unknot
