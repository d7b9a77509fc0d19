// SPDX-License-Identifier: Apache-2.0
#include "shim/doors/divert.h"

#include <errno.h>
#include <string.h>

#include "shim/allocator/cxx_runtime.h"
#include "shim/allocator/open_questions.h"
#include "shim/allocator/real_allocator.h"
#include "shim/doors/averted.h"
#include "shim/doors/counting.h"
#include "shim/doors/defer.h"
#include "shim/doors/divert_at_once.h"
#include "shim/doors/enter.h"
#include "shim/loader/identity.h"
#include "shim/loader/loader_lock.h"
#include "shim/log/witness.h"
#include "shim/system/sizes.h"

namespace unknot {

namespace {

// Nobody's statistics: the program has not asked for it.
Served for_the_calibration(ThreadState& thread, const Request& request) {
    always_go_slow(thread);
    return {true, arena.allocate(thread.cursor, request.size, request.alignment, request.fill)};
}

// One diverted block, and all that is to be noted of it.
void* divert(ThreadState& thread, const Request& request, const void* caller) {
    thread.cursor.in_stretch = true;
    void* block = arena.allocate(thread.cursor, request.size, request.alignment, request.fill);
    if (block == nullptr) return nullptr;
    if (thread.ready) {  // before that there is nothing else, and no lock has a part in it
        count(unknot_stats.diverted);
        thread.stretch.diverted += request.size;
        witness(unknot_stats.under_loader_lock, caller);
    }
    publish_walks(thread);
    publish_blocks(thread);
    always_go_slow(thread);  // the first call after the lock is gone catches up
    if (!thread.has_exit_hook) arm_exit_hook(thread);
    if (owns_write_lock(thread)) note_diverting(thread);
    return block;
}

// The same of a block for whose walk that has been noted.
void* divert_another(ThreadState& thread, const Request& request, const void* caller) {
    void* block = arena.allocate(thread.cursor, request.size, request.alignment, request.fill);
    if (block == nullptr) return nullptr;
    note_another(thread, request.size);
    witness(unknot_stats.under_loader_lock, caller);
    return block;
}

// There is no memory for this call: its contract's way to say so.
Served fail(ThreadState& thread, const Request& request, const void* caller) {
    void* block = nullptr;
    while (block == nullptr) {
        count(unknot_stats.failed);
        if (request.failure == Failure::c) {
            errno = ENOMEM;
            return {true, nullptr};
        }
        if (request.failure == Failure::cxx_nothrow) {
            return {true, retry_nothrow(request.size, request.alignment, caller)};
        }
        run_new_handler_or_throw(request.size, caller);
        block = divert(thread, request, caller);
    }
    return {true, block};
}

// No block can have what was asked for as alignment.
Served refuse(const Request& request, const void* caller) {
    if (request.failure == Failure::cxx) throw_bad_alloc(request.size, caller);
    if (request.failure == Failure::c) errno = EINVAL;
    return {true, nullptr};
}

// Without the arena's block: is the call over with that, or the real allocator's? What no allocator can have is not
// worth entering one under a loader lock.
bool ends_here(const Request& request) {
    return !knows_real_allocator() || settings.arena_full == ArenaFull::fail || request.size > PTRDIFF_MAX;
}

// Observe mode. Only the write lock makes an edge: it is the one that an unwinder's walk waits for. (The load lock
// alone, as in the mapping phase of dlopen, would need an allocator that calls the loader inside malloc.)
void observe(const ThreadState& thread, const void* caller) {
    count(unknot_stats.observed);
    if (owns_write_lock(thread)) witness(unknot_stats.under_loader_lock, caller);
}

// The block moves; a shrinking copy is cut, what grows is zeroed where that was asked for.
void move(void* to, std::size_t to_bytes, const void* from, std::size_t from_bytes, const Request& request) {
    memcpy(to, from, from_bytes < request.size ? from_bytes : request.size);
    if (request.fill == Fill::zero && to_bytes > from_bytes) {
        memset(static_cast<char*>(to) + from_bytes, 0, to_bytes - from_bytes);
    }
}

// Has this thread's stretch no room for `bytes` more in the arena? Only the load lock's: what is parsed inside a walk
// is what the arena is for. What no allocator can have the arena refuses.
bool is_over_budget(const ThreadState& thread, std::size_t bytes) {
    return bytes <= PTRDIFF_MAX && walks_never_wait() && !owns_write_lock(thread) &&
           !fits(thread.stretch.diverted, bytes, settings.stretch_max.value);
}

bool may_end_in_libc(const ThreadState& thread, const void* caller) {
    return may_reach_libcs_free(hands_out_libcs_blocks(), owns_write_lock(thread), is_loader_code(caller));
}

// What a deferred free keeps from others. Where nobody can tell, an everyday block.
std::size_t bytes_held_by(const Deallocation& call) {
    constexpr std::size_t everyday = 4096;
    const std::size_t known = answers_block_sizes() ? real_block_size(call.pointer) : call.size;
    return known != 0 ? known : everyday;
}

// To the real allocator, although this thread owns a loader lock. Once nothing fits any more, calls need not ask until
// the load lock is free again.
void go_over_budget(ThreadState& thread) {
    count(unknot_stats.over_budget);
    if (thread.walks == 0 && !owns_write_lock(thread) && is_used_up(thread.stretch, settings.stretch_max.value)) {
        go_slow_when_free(thread, loader_locks.load_owner);
    }
}

bool is_aligned(const void* p, std::size_t alignment) {
    return reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

// The block where it is, or in a smaller place of the arena; nullptr: it has to move on.
void* resize_in_arena(ThreadState& thread, void* pointer, const Request& request) {
    const std::size_t before = arena.usable_size(pointer);
    if (!is_aligned(pointer, request.alignment)) return nullptr;
    void* block = arena.resize(thread.cursor, pointer, request.size, request.alignment);
    if (block == nullptr) return nullptr;
    const std::size_t now = arena.usable_size(block);
    if (request.fill == Fill::zero && now > before) memset(static_cast<char*>(block) + before, 0, now - before);
    publish_blocks(thread);
    return block;
}

}  // namespace

Served divert_allocation(Request request, const void* caller) {
    if (diverts_again(thread_state) && request.alignment != no_alignment) {
        if (void* block = divert_another(thread_state, request, caller)) return {true, block};
    }
    ThreadState& thread = enter();
    const bool owns = owns_loader_lock(thread);
    if (is_calibrating(thread)) return for_the_calibration(thread, request);
    switch (route(AllocationFacts{.owns_loader_lock = owns,
                                  .nothing_to_forward_to = !knows_real_allocator(),
                                  .over_budget = owns && is_over_budget(thread, request.size),
                                  .may_reach_libcs_free = owns && may_end_in_libc(thread, caller),
                                  .mode = mode()})) {
        case Route::observed:
            observe(thread, caller);
            return {false, nullptr};
        case Route::over_budget:
            go_over_budget(thread);
            return {false, nullptr};
        case Route::arena:
            if (request.alignment == no_alignment) return refuse(request, caller);
            if (void* block = divert(thread, request, caller)) return {true, block};
            if (ends_here(request)) return fail(thread, request, caller);
            count(unknot_stats.forwarded);
            return {false, nullptr};
        default:
            if (!owns) settle(thread, caller);
            return {false, nullptr};
    }
}

bool divert_deallocation(const Deallocation& call, const void* caller) {
    if (arena.contains(call.pointer)) {
        take_back(call.pointer);
        return true;
    }
    ThreadState& thread = enter();
    const bool owns = owns_loader_lock(thread);
    // Nothing to give back, so nobody is asked: our own question at start (calls_arrive) comes before the constructor
    // of the allocator, and mimalloc 3.0.1 looks even a null up in a map that is made there.
    if (call.pointer == nullptr) {
        if (!owns) settle(thread, caller);
        return true;
    }
    const std::size_t held = owns && follows_rule_1(mode()) ? bytes_held_by(call) : 0;
    switch (route(DeallocationFacts{
        .owns_loader_lock = owns,
        .nothing_to_forward_to = !knows_real_allocator(),
        .over_budget =
            owns && walks_never_wait() && !fits(thread.stretch.waiting, share_of(held), settings.stretch_max.value),
        .mode = mode()})) {
        case Route::observed:
            observe(thread, caller);
            return false;
        case Route::over_budget:
            go_over_budget(thread);
            return false;
        case Route::deferred:
            if (!defer(thread, call, held)) {
                count(unknot_stats.forwarded);
                return false;
            }
            witness(unknot_stats.under_loader_lock, caller);
            return true;
        default:
            if (!owns) settle(thread, caller);
            return false;
    }
}

namespace {

// The block that has been resized elsewhere.
void give_up(void* block, const void* caller) {
    if (!divert_deallocation({.pointer = block, .row = DeallocationRow::free}, caller)) real_allocator.free(block);
}

}  // namespace

Served divert_reallocation(Reallocation what, const void* caller) {
    const Request& request = what.request;
    if (what.pointer == nullptr) return divert_allocation(request, caller);
    ThreadState& thread = enter();
    const bool owns = owns_loader_lock(thread);
    const Route way = route(AllocationFacts{.owns_loader_lock = owns,
                                            .nothing_to_forward_to = !knows_real_allocator(),
                                            .over_budget = owns && is_over_budget(thread, request.size),
                                            .may_reach_libcs_free = owns && may_end_in_libc(thread, caller),
                                            .mode = mode()});
    const bool ours = arena.contains(what.pointer);
    if (way == Route::observed) observe(thread, caller);
    if (way == Route::over_budget) go_over_budget(thread);
    if (!owns) settle(thread, caller);
    if (!ours && way != Route::arena) return {false, nullptr};

    if (request.size == 0 && realloc_zero_frees()) {
        give_up(what.pointer, caller);
        return {true, nullptr};
    }
    if (request.alignment == no_alignment) return refuse(request, caller);
    if (ours) {
        if (void* block = resize_in_arena(thread, what.pointer, request)) return {true, block};
    }
    const std::size_t old_bytes = ours ? arena.usable_size(what.pointer) : real_block_size(what.pointer);
    // A block whose size nobody knows cannot be copied: the real allocator has to do it.
    if (old_bytes == 0) {
        count(unknot_stats.forwarded);
        return {false, nullptr};
    }
    Request plain = request;
    plain.fill = Fill::as_is;  // the growth alone is zeroed
    void* to = nullptr;
    if (way == Route::arena) {
        to = divert(thread, plain, caller);
        if (to == nullptr && ends_here(request)) {
            to = fail(thread, plain, caller).block;
            if (to == nullptr) return {true, nullptr};
        }
        if (to == nullptr) count(unknot_stats.forwarded);
        if (to == nullptr && !ours) return {false, nullptr};
    }
    // An arena block leaves the arena as soon as its owner resizes it under no lock.
    if (to == nullptr) to = what.fresh != nullptr ? what.fresh(what.call) : real_allocator.malloc(request.size);
    if (to == nullptr) return {true, nullptr};
    const std::size_t to_bytes = arena.contains(to) ? arena.usable_size(to) : request.size;
    move(to, to_bytes, what.pointer, old_bytes, request);
    give_up(what.pointer, caller);
    return {true, to};
}

bool must_divert(const void* caller) {
    ThreadState& thread = enter();
    const bool owns = owns_loader_lock(thread);
    if (!owns) settle(thread, caller);
    return owns && follows_rule_1(mode());
}

}  // namespace unknot
