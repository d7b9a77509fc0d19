// SPDX-License-Identifier: Apache-2.0
// The words of a judgement: what is known of a process, what can be told of it, and what can be advised. No decision.
#pragma once

#include <cstddef>
#include <cstdint>

#include "policy/allocator.h"
#include "policy/stats_page.h"

namespace unknot {

enum class Verdict : std::uint8_t { not_affected, is_protected, at_risk, deadlocked, unknown };

// The worst first.
inline constexpr Verdict every_verdict[] = {Verdict::deadlocked, Verdict::at_risk, Verdict::unknown,
                                            Verdict::is_protected, Verdict::not_affected};

// What a verdict would need and could not be had.
enum class Missing : std::uint8_t {
    nothing,
    permission,  // to read the process
    life,        // it has ended and waits to be collected
    word_size,   // a 32-bit process
    malloc,      // no malloc was found by name
    file,        // of an object that may define malloc
    waits,       // what its threads wait for
    end,         // threads have not moved, and that they never will could not be shown
};

// What a deadlock that was seen goes through.
enum class Cycle : std::uint8_t {
    none,
    other_locks,  // a loader lock, and a wait inside the allocator or an unwinder: what the shim is for
    owner_gone,   // the write lock's owner is no thread of the process: forked beside a walk
    interrupted,  // a signal came between taking the write lock and recording its owner, and its handler walks
    // The shim cures none of these.
    loader_locks,       // loader locks alone, in two orders: no allocator takes part
    waits_under_lock,   // the loader lock's owner waits for a thread that waits for the loader lock
    application_locks,  // locks of the program, in two orders, with or without a loader lock
    own_lock,           // a thread waits for a mutex that it owns: a signal handler or a callback came back into it
    abandoned_lock,     // the owner of a mutex is no thread of the process
};

enum class Reason : std::uint8_t {
    cycle_seen,               // threads wait for each other through a loader lock
    cycle_of_loader_locks,    // the same, and through nothing else
    waits_under_loader_lock,  // a thread joins, or waits for, one that waits for the loader lock which it owns
    cycle_of_application_locks,
    waits_for_own_lock,
    lock_abandoned,
    forked_beside_walk,         // the owner of the write lock stayed in the parent
    walk_interrupted,           // a signal handler walks while its thread takes or leaves the write lock
    both_edges_witnessed,       // observe mode saw L -> M and M -> L
    unwinds_with_libunwind,     // the allocator takes stack traces through nongnu libunwind: dl_iterate_phdr
    unwinds_with_old_libgcc,    // libgcc_s that calls dl_iterate_phdr (no _dl_find_object)
    unwinds_with_wrong_libgcc,  // _Unwind_Backtrace binds to libunwind, which exports it too
    unwinds_somehow,            // full build, method not known
    allocator_profiles,         // jemalloc with prof:true
    allocator_unknown,          // assumed to unwind
    walker_allocates,           // a library is in the process that allocates inside its walks (edge L -> M)
    never_unwinds,              // this allocator takes no stack trace
    profiling_off,              // jemalloc without prof:true
    unwinds_without_loader,     // generic_fp, or libgcc with _dl_find_object
    sanitizer_allocates,        // malloc belongs to a sanitizer: frame pointers, no loader
    not_permitted,              // these seven: what is missing, for the verdict "unknown"
    has_ended,
    other_word_size,
    malloc_not_found,
    file_unreadable,
    waits_unreadable,
    end_not_shown,
    shim_protects,
    shim_protects_by_walks,  // rule 2 alone: malloc is another's, or left alone
    shim_passive,            // the shim is there, in a mode that does not protect
    shim_bypassed,           // malloc does not reach the shim
    shim_sees_walks_only,    // calibration failed: probe=wrapper
};

enum class Advice : std::uint8_t {
    rescue,                  // unknot rescue: this deadlock can be undone from outside
    immunise,                // unknot immunise: this process can be kept from it while it runs
    end_the_process,         // a deadlocked process does not come back by itself
    keep_one_order,          // no dladdr, dlsym or dlopen inside a walk: only the program can mend it
    wait_after_loading,      // no join and no wait in constructors, destructors, exit handlers, JNI_OnLoad
    order_locks,             // the program's locks in one order, and none around dlopen that a constructor takes
    no_locks_in_handlers,    // in signal handlers
    no_locks_after_fork,     // in the child of a process with threads
    get_permission,          // to read the process
    look_again,              // and see whether the same threads still wait
    upgrade_async_profiler,  // to 4.0 or later: given where its build allocates in walks
    use_generic_fp,          // TCMALLOC_STACKTRACE_METHOD=generic_fp
    use_libgcc,              // TCMALLOC_STACKTRACE_METHOD=libgcc
    turn_profiling_off,      // MALLOC_CONF=prof:false
    use_tcmalloc_minimal,
    use_another_allocator,  // one that takes no stack traces
    link_tcmalloc_minimal,  // malloc is part of the executable: relink
    set_protect_mode,       // the shim is there already: UNKNOT_MODE=protect
    preload_shim_first,     // the shim is there, but behind the allocator
    use_shim,
    use_walks_shim,  // libunknot_walks.so: malloc cannot be replaced there, walks can
    link_walks,      // libunknot_walks.a: the same for a static program
};

struct ShimFacts {
    bool present = false;
    bool reached = true;  // malloc calls go through it (neither not_on_path nor wrong_order)
    bool wrong_order = false;
    Mode mode = Mode::automatic;  // automatic: not known
    Probe probe = Probe::none;
    WalkMode walk_mode = WalkMode::native;
};

struct RiskFacts {
    AllocatorEvidence allocator{};
    bool knows_generic_fp = false;  // the build has that method
    bool knows_libgcc = false;
    bool malloc_in_executable = false;      // no preloaded malloc is ever called
    bool is_static = false;                 // no loader: LD_PRELOAD does nothing
    bool is_static_glibc = false;           // and libc.a is glibc's
    bool sanitizer = false;                 // malloc belongs to a sanitizer
    bool walker_allocates = false;          // a library in the process allocates in a walk, or may
    bool async_profiler_allocates = false;  // and that is async-profiler
    bool both_edges_witnessed = false;
    Cycle cycle = Cycle::none;
    Missing missing = Missing::nothing;
    bool can_be_rescued = false;    // nothing speaks against it (mending.h)
    bool can_be_immunised = false;  // it runs, it is not immune, and how it could be is known
    ShimFacts shim{};
};

template <class T, std::size_t N>
struct ShortList {
    T items[N] = {};
    std::size_t count = 0;
    constexpr void add(T item) { items[count++] = item; }
    constexpr const T* begin() const { return items; }
    constexpr const T* end() const { return items + count; }
    constexpr bool has(T item) const {
        for (const T& each : *this)
            if (each == item) return true;
        return false;
    }
};

struct Judgement {
    Verdict verdict = Verdict::not_affected;
    ShortList<Reason, 8> reasons;
    ShortList<Advice, 8> advice;
};

}  // namespace unknot
