// SPDX-License-Identifier: Apache-2.0
// What the shim knows of one thread, in initial-exec TLS: no lock, no allocation, no call to reach it. The words start
// so that the hot path of a thread that nobody has seen yet goes the slow way, which fills them in.
#pragma once

#include <cstdint>

#include "policy/stretch.h"
#include "shim/arena/arena.h"
#include "shim/loader/inner_code.h"
#include "shim/system/libc.h"

namespace [[gnu::visibility("hidden")]] unknot {

enum class Drain : std::uint8_t {
    nothing,  // this thread has deferred nothing since it last drained
    at_once,  // at the next call that owns no loader lock
    careful,  // the same, but not while the caller may stand inside the allocator
};

// Who asked for this thread's last walk, and the answer of inner_code.h about it: an unwinder asks again and again.
struct WalkCaller {
    const void* address;  // nullptr: nothing is kept
    std::uint32_t generation;
    InnerCode code;
};

// The last place in this thread's code whose walk allocated and freed nothing, under the list of loaded objects that
// these counters name. Its next walk needs the mark in `watched` and nothing at its end. While one is known, slow_at is
// this thread's id.
struct PlainWalk {
    const void* caller;  // nullptr: none is known
    std::uint64_t adds;
    std::uint32_t loaded;
    const void* set_aside[3];  // other such places, under the same list; nullptr: none
};

struct ThreadState {
    // The hot path compares *watched with slow_at; equal means: go the slow way. Four cases in one comparison:
    //   watched == the owner word of _dl_load_lock, slow_at == id: equal while this thread owns it
    //   watched == the same, slow_at == nobody: equal as soon as nobody owns it (this thread does, and has used up the
    //       budget of its stretch: policy/stretch.h)
    //   watched == &id, slow_at == id: always equal (inside a walk, or something is to be caught up with)
    //   watched == &nobody, slow_at == nobody: this thread is not known yet
    const int* watched;
    int slow_at;
    // This thread's id, as the loader's mutexes spell it. 0: not known yet.
    int id;
    // dl_iterate_phdr calls of ours on this thread's stack, innermost frame last. May be too high: see loader_lock.h.
    std::uint32_t walks;
    const void* outermost_walk;  // frame address, for the probe that knows no owner words
    bool ready;                  // known, and the table of real functions is filled
    bool resolving;              // looking up the real allocator
    bool has_exit_hook;
    bool walk_by_inner_code;  // the outermost walk was asked for by an unwinder or the allocator
    Drain drain;
    std::uint32_t unpublished_walks;
    WalkCaller last_walk_caller;
    PlainWalk plain_walk;
    const void* unwinding_place;  // the last place of an unwinder's walk that no name tells
    Stretch stretch;              // of the loader lock that this thread owns
    std::uint32_t slow_calls;     // how often this thread went the slow way; wraps
    ArenaCursor cursor;
};

// Never a thread's id, so "owned by nobody" and "watched by nobody" look the same.
inline constexpr int nobody = 0;

// Exported for the vendor objects, whose doors ask the same question: see doors.h.
// __thread: g++ before 11 asks before every use of an extern thread_local whether it has been initialised.
[[gnu::tls_model("initial-exec"),
  gnu::visibility("default")]] extern __thread ThreadState thread_state asm("unknot_thread");

// The whole question of the hot path. Relaxed: where the word is the owner word of a lock, only this thread stores this
// thread's id there, so the answer cannot change under us; the other words only this thread writes.
[[gnu::always_inline]] inline bool must_go_slow(const ThreadState& thread) {
    return __builtin_expect(__atomic_load_n(thread.watched, __ATOMIC_RELAXED) == thread.slow_at, 0);
}

// The three states of a thread that is known. A signal handler may come between the two words: the order lets it take
// the slow way too, wherever its thread owns the load lock.
inline void always_go_slow(ThreadState& thread) {
    thread.slow_at = thread.id;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    thread.watched = &thread.id;
}
inline void go_slow_while_owned(ThreadState& thread, const int* owner) {
    thread.slow_at = thread.id;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    thread.watched = owner;
}
inline void go_slow_when_free(ThreadState& thread, const int* owner) {
    thread.plain_walk.caller = nullptr;  // such a walk changes `watched` alone
    thread.watched = owner;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    thread.slow_at = nobody;
}

// Runs `at_exit(state)` when a thread ends that has armed it. Where no thread-specific key is free then, which is said,
// nothing happens there; such a thread keeps no chunk.
void prepare_exit_hook(void (*at_exit)(void*));
void arm_exit_hook(ThreadState& thread);

}  // namespace unknot
