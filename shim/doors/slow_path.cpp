// SPDX-License-Identifier: Apache-2.0
#include "shim/doors/slow_path.h"

#include <errno.h>
#include <string.h>

#include "shim/allocator/cxx_runtime.h"
#include "shim/allocator/real_allocator.h"
#include "shim/loader/fork_handlers.h"
#include "shim/loader/inner_code.h"
#include "shim/loader/loader_lock.h"
#include "shim/log/log_output.h"
#include "shim/log/witness.h"
#include "shim/system/sizes.h"

namespace unknot {

constinit Arena arena{unknot_stats};
constinit Settings settings;
constinit bool realloc_zero_frees = true;
constinit std::atomic<int> contended{nobody};

namespace {

// Relaxed, everywhere: it says "yes" once, and a thread that still sees "no" goes the slow way once more.
constinit std::atomic<bool> hot_path_open{false};
constinit DeferredFrees deferred_frees;
// The last thread that diverted or deferred inside a walk that is not over. As `contended`.
constinit std::atomic<int> diverting{nobody};

// What this thread compares its id with while nothing special is going on.
const int* quiet_word() {
    const bool watching = settings.mode == Mode::protect || settings.mode == Mode::observe;
    return watching ? loader_locks.load_owner : &nobody;
}

class KeepErrno {
  public:
    KeepErrno() : saved_(errno) {}
    ~KeepErrno() { errno = saved_; }
    KeepErrno(const KeepErrno&) = delete;
    KeepErrno& operator=(const KeepErrno&) = delete;

  private:
    int saved_;
};

// The guard that every slow call passes first: the table is filled and this thread is known.
ThreadState& enter() {
    ThreadState& thread = thread_state;
    ++thread.slow_calls;
    if (__builtin_expect(thread.id == nobody, 0)) {
        KeepErrno keep;
        thread.id = id_in_mutexes();
        thread.watched = &thread.id;
    }
    if (__builtin_expect(!is_resolved() && !thread.resolving, 0)) {
        KeepErrno keep;
        thread.resolving = true;
        log_output::remember_stderr();  // before any constructor can have opened a file
        register_fork_handlers();
        resolve_real_allocator();
        thread.resolving = false;
    }
    if (__builtin_expect(loader_locks.probe == Probe::none, 0)) confirm_load_lock(thread);
    return thread;
}

// Between walks nobody waits for exact sums; inside a walk they are published at its end.
void publish(ThreadState& thread) {
    if (thread.walks == 0) arena.publish(thread.cursor);
}

void clear_contention(const ThreadState& thread, std::uint64_t* counter) {
    int mine = thread.id;
    if (contended.load(std::memory_order_relaxed) != mine) return;
    if (contended.compare_exchange_strong(mine, nobody, std::memory_order_relaxed) && counter != nullptr)
        count(*counter);
}

// The walk that this thread may have been in is over.
void forget_walk(const ThreadState& thread) {
    if (diverting.load(std::memory_order_relaxed) == thread.id) diverting.store(nobody, std::memory_order_relaxed);
    clear_contention(thread, nullptr);
}

void note_diverting(ThreadState& thread) {
    if (!owns_write_lock(thread)) return;
    thread.plain_walk.caller = nullptr;
    thread.watched = &thread.id;  // whatever holds the lock here: the first call after it forgets
    diverting.store(thread.id, std::memory_order_relaxed);
    clear_contention(thread, &unknot_stats.averted);
}

// This thread owns no loader lock: catch up with what waits, and go back to the quiet word.
void settle(ThreadState& thread, const void* caller) {
    arena.end_of_stretch(thread.cursor);
    if (thread.drain == Drain::at_once || (thread.drain == Drain::careful && !is_inner_code(caller))) {
        KeepErrno keep;
        drain(thread);
    }
    if (thread.walks != 0) return;
    forget_walk(thread);
    if (thread.drain == Drain::nothing && hot_path_open.load(std::memory_order_relaxed)) {
        thread.watched = quiet_word();
    }
}

void* from_arena(ThreadState& thread, const Request& request) {
    thread.cursor.in_stretch = true;
    thread.watched = &thread.id;  // the first call after the stretch settles
    void* block = arena.allocate(thread.cursor, request.size, request.alignment, request.fill);
    if (block == nullptr) return nullptr;
    publish_walks(thread);
    if (knows_real_allocator()) {  // before that there is nothing else, and no lock has a part in it
        count(unknot_stats.diverted);
        count(unknot_stats.diverted_bytes, request.size);
    }
    note_diverting(thread);
    arm_exit_hook(thread);
    publish(thread);
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
        block = from_arena(thread, request);
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

bool defer(ThreadState& thread, const Deallocation& call) {
    auto* record = static_cast<DeferredFree*>(arena.allocate(thread.cursor, sizeof(DeferredFree)));
    if (record == nullptr) return false;
    record->call = call;
    deferred_frees.push(record);
    count(unknot_stats.deferred);
    // A walk that an unwinder makes inside the allocator ends inside the allocator: draining there would enter it.
    const Drain when = thread.walks != 0 && thread.walk_by_inner_code ? Drain::careful : Drain::at_once;
    if (thread.drain != Drain::at_once) thread.drain = when;
    thread.watched = &thread.id;
    note_diverting(thread);
    arm_exit_hook(thread);
    publish(thread);
    return true;
}

void replay(const Deallocation& call) {
    [[maybe_unused]] const char nothrow_tag = 0;
    [[maybe_unused]] const void* tag = &nothrow_tag;
    [[maybe_unused]] const std::size_t size = call.size;
    [[maybe_unused]] const std::size_t alignment = call.alignment;
    void* pointer = call.pointer;
    switch (call.row) {
#define UNKNOT_ALLOCATION(id, ...)
#define UNKNOT_ALLOCATION_INTO(id, ...)
#define UNKNOT_REALLOCATION(id, ...)
#define UNKNOT_DEALLOCATION(id, symbol, parameters, arguments, ...) \
    case DeallocationRow::id:                                       \
        return real_allocator.id arguments;
#define UNKNOT_QUERY(id, ...)
#include "shim/allocator/entry_points.inc"
    }
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
    publish(thread);
    return block;
}

}  // namespace

Served divert_allocation(Request request, const void* caller) {
    ThreadState& thread = enter();
    const bool owns = owns_loader_lock(thread);
    switch (route(AllocationFacts{
        .owns_loader_lock = owns, .nothing_to_forward_to = !knows_real_allocator(), .mode = settings.mode})) {
        case Route::observed:
            observe(thread, caller);
            return {false, nullptr};
        case Route::arena:
            if (request.alignment == no_alignment) return refuse(request, caller);
            if (void* block = from_arena(thread, request)) return {true, block};
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
        // No question about locks, and no look at whether we are protecting: the arena takes its own back always.
        arena.deallocate(thread_state.cursor, call.pointer);
        publish(thread_state);
        return true;
    }
    ThreadState& thread = enter();
    const bool owns = owns_loader_lock(thread);
    switch (route(DeallocationFacts{
        .owns_loader_lock = owns, .nothing_to_forward_to = !knows_real_allocator(), .mode = settings.mode})) {
        case Route::observed:
            if (call.pointer == nullptr) return false;
            observe(thread, caller);
            return false;
        case Route::deferred:
            if (call.pointer == nullptr || defer(thread, call)) return true;
            count(unknot_stats.forwarded);
            return false;
        default:
            if (!owns) settle(thread, caller);
            return false;
    }
}

Served divert_reallocation(Reallocation what, const void* caller) {
    const Request& request = what.request;
    if (what.pointer == nullptr) return divert_allocation(request, caller);
    ThreadState& thread = enter();
    const bool owns = owns_loader_lock(thread);
    const Route way = route(AllocationFacts{
        .owns_loader_lock = owns, .nothing_to_forward_to = !knows_real_allocator(), .mode = settings.mode});
    const bool ours = arena.contains(what.pointer);
    if (way == Route::observed) {
        count(unknot_stats.observed);
        witness(unknot_stats.under_loader_lock, caller);
    }
    if (!owns) settle(thread, caller);
    if (!ours && way != Route::arena) return {false, nullptr};

    if (request.size == 0 && realloc_zero_frees) {
        divert_deallocation({.pointer = what.pointer, .row = DeallocationRow::free}, caller);
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
        to = from_arena(thread, plain);
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
    divert_deallocation({.pointer = what.pointer, .row = DeallocationRow::free}, caller);
    return {true, to};
}

bool must_divert(const void* caller) {
    ThreadState& thread = enter();
    const bool owns = owns_loader_lock(thread);
    if (!owns) settle(thread, caller);
    return owns && settings.mode == Mode::protect;
}

const RealAllocator& ask_real() {
    enter();
    return real_allocator;
}

void publish_walks(ThreadState& thread) {
    if (thread.unpublished_walks != 0) count(unknot_stats.walks, thread.unpublished_walks);
    thread.unpublished_walks = 0;
}

void begin_walk(ThreadState& thread, const void* frame, InnerCode caller) {
    if (++thread.unpublished_walks == walks_per_publication) publish_walks(thread);
    if (thread.walks == 0 && !owns_write_lock(thread)) forget_walk(thread);
    if (thread.walks++ == 0) {
        thread.outermost_walk = frame;
        thread.walk_by_inner_code = caller != InnerCode::none;
    }
    thread.watched = &thread.id;
}

void end_walk(ThreadState& thread) {
    // Already 0 if a slow call found in between that the lock had been let go.
    if (thread.walks != 0) --thread.walks;
    if (thread.walks != 0) return;
    arena.publish(thread.cursor);
    // A plain walk of ours is still going on further up.
    if (loader_locks.probe == Probe::owner_words && owns_write_lock(thread)) return;
    forget_walk(thread);
    if (!owns_loader_lock(thread)) arena.end_of_stretch(thread.cursor);
    if (thread.drain != Drain::nothing && !thread.walk_by_inner_code && !owns_loader_lock(thread)) {
        KeepErrno keep;
        drain(thread);
    }
    if (thread.drain == Drain::nothing && hot_path_open.load(std::memory_order_relaxed)) thread.watched = quiet_word();
}

void note_contention() {
    const int owner = __atomic_load_n(loader_locks.write_owner, __ATOMIC_RELAXED);
    if (owner == nobody) return;
    if (owner == diverting.load(std::memory_order_relaxed)) return count(unknot_stats.averted);
    contended.store(owner, std::memory_order_relaxed);
}

void drain(ThreadState& thread) {
    thread.drain = Drain::nothing;
    DeferredFree* record = deferred_frees.take_all();
    while (record != nullptr) {
        const Deallocation call = record->call;
        DeferredFree* next = record->next;
        arena.deallocate(thread.cursor, record);
        // Before the call: whoever finds all frees drained and then looks sees no more than one still on its way.
        replay(call);
        count(unknot_stats.drained);
        record = next;
    }
    publish(thread);
}

void open_hot_path() {
    hot_path_open.store(true, std::memory_order_relaxed);
    ThreadState& thread = enter();
    if (thread.drain == Drain::nothing && thread.walks == 0) thread.watched = quiet_word();
}

void thread_ends(void* state) {
    ThreadState& thread = *static_cast<ThreadState*>(state);
    thread.has_exit_hook = false;  // what comes after us arms it again
    if (thread.drain != Drain::nothing && !owns_loader_lock(thread)) drain(thread);
    publish_walks(thread);
    arena.retire(thread.cursor);
    arena.publish(thread.cursor);
    thread.cursor.fleeting = true;  // in the last round of key destructors nobody comes after what comes after us
}

}  // namespace unknot
