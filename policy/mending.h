// SPDX-License-Identifier: Apache-2.0
// When a process may be mended from outside, and where a waiting thread may be sent back to. Pure; no libc. The answer
// is no to everything that is not on a list here: each list names what has been shown to work on real processes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "policy/risk.h"

namespace unknot {

enum class Refusal : std::uint8_t {
    none,
    not_deadlocked,    // nothing to do
    other_cycle,       // not the loader's lock against the allocator's, nor a fork's left-over
    other_machine,     // sending a thread back is proved on x86_64 alone
    unproved_libc,     // what dl_iterate_phdr leaves behind while it waits is known of some versions
    is_stopped,        // SIGSTOP, job control: its threads do not run, so that none of them shows what it waits for
    is_traced,         // a thread has one tracer; two tools that change it know nothing of each other
    has_shadow_stack,  // the return addresses there would no longer match
    allocator_in_executable,  // its frames cannot be told from the program's
    no_cure,                  // it would hang again in the next walk
    list_is_edited,           // forked in the middle of a dlopen or dlclose: the loader's list may be half of one
    changed,                  // a word or a thread is no longer as it was judged
    frame_not_unwound,
    not_in_walk,      // not dl_iterate_phdr that waits, or more than libc's lock between it and the kernel
    walk_not_listed,  // the walk of a profiler, of a C++ throw, of whoever is no unwinder inside the allocator
    awake,            // it no longer sleeps in that wait: it may just have been handed the lock
};

// glibc 2.N whose dl_iterate_phdr takes the write lock before anything else (elf/dl-iteratephdr.c), and that have been
// rescued: Debian 11, 12, 13.
constexpr bool libc_is_proved(unsigned glibc_minor) {
    return glibc_minor == 31 || glibc_minor == 36 || glibc_minor == 41;
}

struct MendingFacts {
    bool machine_is_proved = false;
    unsigned glibc_minor = 0;
    Cycle cycle = Cycle::none;
    bool is_stopped = false;
    bool is_traced = false;
    bool has_shadow_stack = false;
    bool allocator_in_executable = false;
    bool can_be_immune = false;     // or is
    bool waiter_is_listed = false;  // a thread waits whose stack, as it was seen, has a way out
    bool list_is_edited = false;
};

constexpr Refusal why_not_rescue(const MendingFacts& facts) {
    if (facts.is_traced) return Refusal::is_traced;
    if (facts.is_stopped) return Refusal::is_stopped;
    if (facts.cycle == Cycle::none) return Refusal::not_deadlocked;
    if (facts.cycle != Cycle::other_locks && facts.cycle != Cycle::owner_gone) return Refusal::other_cycle;
    if (!libc_is_proved(facts.glibc_minor)) return Refusal::unproved_libc;
    if (!facts.machine_is_proved) return Refusal::other_machine;
    // What follows is for a thread that is sent back; an abandoned lock is given back without touching a register.
    if (facts.cycle == Cycle::owner_gone) return facts.list_is_edited ? Refusal::list_is_edited : Refusal::none;
    if (facts.has_shadow_stack) return Refusal::has_shadow_stack;
    if (facts.allocator_in_executable) return Refusal::allocator_in_executable;
    if (!facts.can_be_immune) return Refusal::no_cure;
    if (!facts.waiter_is_listed) return Refusal::walk_not_listed;
    return Refusal::none;
}

// Whose code a frame of a waiting thread is in.
enum class FrameOf : std::uint8_t {
    libc,       // and libpthread, where it has the locks
    walk,       // libc's dl_iterate_phdr
    libunwind,  // nongnu's
    libgcc,
    backtrace,  // libgcc's _Unwind_Backtrace
    allocator,
    other,
};

// Where a thread goes on: as if frames[leave] had returned `result` to frames[leave + 1].
struct WayOut {
    Refusal refusal = Refusal::walk_not_listed;
    std::size_t leave = 0;
    std::uint64_t result = 0;
};

constexpr std::uint64_t end_of_stack = 5;  // _URC_END_OF_STACK, Itanium C++ ABI: Exception Handling, 1.2

// The walk is left with 0, "the callback never asked to stop": libunwind then knows no more than for code without
// unwind tables, and ends its trace. libgcc_s asserts that it finds its first frame and would end the process, so there
// _Unwind_Backtrace is left as a whole. Innermost frame first; the last one looked at is the allocator's.
constexpr WayOut way_out(const FrameOf* frames, std::size_t count) {
    std::size_t at = 0;
    while (at < count && frames[at] == FrameOf::libc) ++at;
    if (at == 0 || at >= count || frames[at] != FrameOf::walk) return {Refusal::not_in_walk};
    WayOut out{Refusal::none, at, 0};
    ++at;
    if (at < count && frames[at] == FrameOf::libgcc) {
        while (at < count && frames[at] == FrameOf::libgcc) ++at;
        if (at >= count || frames[at] != FrameOf::backtrace) return {Refusal::walk_not_listed};
        out = {Refusal::none, at, end_of_stack};
        ++at;
    } else {
        const std::size_t first = at;
        while (at < count && frames[at] == FrameOf::libunwind) ++at;
        if (at == first) return {Refusal::walk_not_listed};
    }
    if (at >= count || frames[at] != FrameOf::allocator) return {Refusal::walk_not_listed};
    return out;
}

// A thread in a system call, as the judge saw it while it ran and as its registers say once it stands.
struct Wait {
    std::int64_t system_call = -1;
    std::uint64_t futex = 0;  // its first argument
    std::uint64_t stack_pointer = 0, program_counter = 0;
    constexpr bool operator==(const Wait&) const = default;
};

// ERESTARTSYS (linux/errno.h): the stop broke into a sleep that the kernel would begin anew. Anything else, 0 above
// all, is an answer: the lock has just been handed on.
constexpr std::int64_t broken_sleep = -512;

constexpr bool still_in(const Wait& judged, const Wait& now, std::int64_t result) {
    return judged == now && result == broken_sleep;
}

static_assert(why_not_rescue({}) == Refusal::not_deadlocked);
static_assert(!still_in({202, 8, 16, 32}, {202, 8, 16, 32}, 0));

}  // namespace unknot
