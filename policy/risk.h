// SPDX-License-Identifier: Apache-2.0
// From facts about one process to: the verdict, the reasons for it, and what to do, best first. Pure; no libc. Only
// advice that would work on that very process is given.
#pragma once

#include <cstddef>
#include <cstdint>

#include "policy/allocator.h"
#include "policy/stats_page.h"

namespace unknot {

enum class Verdict : std::uint8_t { not_affected, is_protected, at_risk, deadlocked };

// What a deadlock that was seen goes through.
enum class Cycle : std::uint8_t {
    none,
    other_locks,   // a loader lock and one that is not the loader's: what the shim is for
    loader_locks,  // loader locks alone, in two orders: no allocator takes part, the shim cures nothing
    owner_gone,    // the write lock's owner is no thread of the process: forked beside a walk
    interrupted,   // a signal came between taking the write lock and recording its owner, and its handler walks
};

enum class Reason : std::uint8_t {
    cycle_seen,                 // threads wait for each other through a loader lock
    cycle_of_loader_locks,      // the same, and through nothing else
    forked_beside_walk,         // the owner of the write lock stayed in the parent
    walk_interrupted,           // a signal handler walks while its thread takes or leaves the write lock
    both_edges_witnessed,       // observe mode saw L -> M and M -> L
    unwinds_with_libunwind,     // the allocator takes stack traces through nongnu libunwind: dl_iterate_phdr
    unwinds_with_old_libgcc,    // libgcc_s that calls dl_iterate_phdr (no _dl_find_object)
    unwinds_with_wrong_libgcc,  // _Unwind_Backtrace binds to libunwind, which exports it too
    unwinds_somehow,            // full build, method not known
    allocator_profiles,         // jemalloc with prof:true
    allocator_unknown,          // assumed to unwind
    walker_allocates,           // an async-profiler before 4.0 is in the process
    never_unwinds,              // this allocator takes no stack trace
    profiling_off,              // jemalloc without prof:true
    unwinds_without_loader,     // generic_fp, or libgcc with _dl_find_object
    sanitizer_allocates,        // malloc belongs to a sanitizer: frame pointers, no loader
    shim_protects,
    shim_passive,          // the shim is there, in a mode that does not protect
    shim_bypassed,         // malloc does not reach the shim
    shim_sees_walks_only,  // calibration failed: probe=wrapper
};

enum class Advice : std::uint8_t {
    rescue,                  // unknot rescue: this deadlock can be undone from outside
    immunise,                // unknot immunise: this process can be kept from it while it runs
    end_the_process,         // a deadlocked process does not come back by itself
    keep_one_order,          // no dladdr, dlsym or dlopen inside a walk: only the program can mend it
    upgrade_async_profiler,  // to 4.0 or later
    use_generic_fp,          // TCMALLOC_STACKTRACE_METHOD=generic_fp
    use_libgcc,              // TCMALLOC_STACKTRACE_METHOD=libgcc
    turn_profiling_off,      // MALLOC_CONF=prof:false
    use_tcmalloc_minimal,
    use_another_allocator,  // one that takes no stack traces
    link_tcmalloc_minimal,  // malloc is part of the executable: relink
    set_protect_mode,       // the shim is there already: UNKNOT_MODE=protect
    preload_shim_first,     // the shim is there, but behind the allocator
    use_shim,
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
    bool libgcc_walks = false;      // its libgcc_s does not use _dl_find_object
    bool knows_generic_fp = false;  // the build has that method
    bool knows_libgcc = false;
    bool malloc_in_executable = false;  // no preloaded malloc is ever called
    bool is_static = false;             // no loader: LD_PRELOAD does nothing
    bool sanitizer = false;             // malloc belongs to a sanitizer
    bool old_async_profiler = false;    // earlier than 4.0, or a fork that parses symbols in a walk
    bool both_edges_witnessed = false;
    Cycle cycle = Cycle::none;
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

constexpr bool is_full_tcmalloc(AllocatorKind kind) {
    return kind == AllocatorKind::tcmalloc || kind == AllocatorKind::tcmalloc_debug;
}

// Edge M -> L, and why. `reasons` gets the sentence for either answer.
constexpr bool judge_allocator(const RiskFacts& facts, ShortList<Reason, 8>& reasons) {
    const AllocatorEvidence& seen = facts.allocator;
    if (facts.sanitizer) return reasons.add(Reason::sanitizer_allocates), false;
    const AllocatorKind kind = identify(seen);
    const bool old_libgcc = seen.stack_method == StackMethod::libgcc && facts.libgcc_walks;
    if (unwinds_inside_malloc(seen) || (is_full_tcmalloc(kind) && old_libgcc)) {
        if (kind == AllocatorKind::unknown) return reasons.add(Reason::allocator_unknown), true;
        if (kind == AllocatorKind::jemalloc) reasons.add(Reason::allocator_profiles);
        if (seen.stack_method == StackMethod::libunwind) reasons.add(Reason::unwinds_with_libunwind);
        if (seen.stack_method == StackMethod::libgcc)
            reasons.add(seen.unwind_backtrace_is_libunwind ? Reason::unwinds_with_wrong_libgcc
                                                           : Reason::unwinds_with_old_libgcc);
        if (seen.stack_method == StackMethod::unknown) reasons.add(Reason::unwinds_somehow);
        return true;
    }
    if (kind == AllocatorKind::jemalloc)
        reasons.add(Reason::profiling_off);
    else
        reasons.add(is_full_tcmalloc(kind) ? Reason::unwinds_without_loader : Reason::never_unwinds);
    return false;
}

// Rule 1 needs the owner words (a wrapper sees walks only), rule 2 the nonblocking walk; either cut is enough for the
// two-lock cycle.
constexpr bool shim_protects(const ShimFacts& shim) {
    return shim.present && shim.reached && shim.mode == Mode::protect &&
           (shim.probe == Probe::owner_words || shim.walk_mode == WalkMode::nonblocking);
}

constexpr void advise_shim(const RiskFacts& facts, ShortList<Advice, 8>& advice) {
    if (facts.malloc_in_executable || facts.is_static) return;
    if (facts.allocator.glibc_minor == 0) return;  // the shim reads glibc's locks
    if (!facts.shim.present) return advice.add(Advice::use_shim);
    if (facts.shim.wrong_order) return advice.add(Advice::preload_shim_first);
    if (facts.shim.mode != Mode::protect) advice.add(Advice::set_protect_mode);
}

constexpr void advise(const RiskFacts& facts, ShortList<Advice, 8>& advice) {
    const AllocatorEvidence& seen = facts.allocator;
    const AllocatorKind kind = identify(seen);
    if (facts.old_async_profiler) advice.add(Advice::upgrade_async_profiler);
    if (is_full_tcmalloc(kind)) {
        if (facts.knows_generic_fp && seen.stack_method != StackMethod::generic_fp) advice.add(Advice::use_generic_fp);
        if (facts.knows_libgcc && seen.stack_method != StackMethod::libgcc && seen.glibc_minor >= 35 &&
            !facts.libgcc_walks && !seen.unwind_backtrace_is_libunwind)
            advice.add(Advice::use_libgcc);
        advice.add(facts.malloc_in_executable ? Advice::link_tcmalloc_minimal : Advice::use_tcmalloc_minimal);
    }
    if (kind == AllocatorKind::jemalloc) advice.add(Advice::turn_profiling_off);
    if (facts.malloc_in_executable || facts.is_static) return;
    if (!is_full_tcmalloc(kind)) advice.add(Advice::use_another_allocator);
    advise_shim(facts, advice);
}

constexpr Reason reason_for(Cycle cycle) {
    switch (cycle) {
        case Cycle::loader_locks:
            return Reason::cycle_of_loader_locks;
        case Cycle::owner_gone:
            return Reason::forked_beside_walk;
        case Cycle::interrupted:
            return Reason::walk_interrupted;
        default:
            return Reason::cycle_seen;
    }
}

// Cured by the shim's fork handler and by its walk, whatever the allocator.
constexpr bool needs_no_allocator(Cycle cycle) {
    return cycle == Cycle::owner_gone || cycle == Cycle::interrupted;
}

constexpr Judgement judge(const RiskFacts& facts) {
    Judgement result;
    const bool deadlocked = facts.cycle != Cycle::none;
    if (deadlocked) {
        result.verdict = Verdict::deadlocked;
        result.reasons.add(reason_for(facts.cycle));
        if (facts.can_be_rescued) result.advice.add(Advice::rescue);
        result.advice.add(Advice::end_the_process);
        if (facts.cycle == Cycle::loader_locks) result.advice.add(Advice::keep_one_order);
    }
    if (facts.both_edges_witnessed) result.reasons.add(Reason::both_edges_witnessed);
    const bool asks = judge_allocator(facts, result.reasons);
    const bool risky = asks || facts.both_edges_witnessed;
    if (risky && facts.old_async_profiler) result.reasons.add(Reason::walker_allocates);
    const bool safe = shim_protects(facts.shim);
    if (facts.shim.present && (risky || deadlocked)) {
        if (!facts.shim.reached)
            result.reasons.add(Reason::shim_bypassed);
        else if (safe)
            result.reasons.add(Reason::shim_protects);
        else if (facts.shim.mode != Mode::protect)
            result.reasons.add(Reason::shim_passive);
        if (facts.shim.probe == Probe::wrapper) result.reasons.add(Reason::shim_sees_walks_only);
    }
    if (!deadlocked) {
        if (!risky) return result;
        result.verdict = safe ? Verdict::is_protected : Verdict::at_risk;
        if (safe) return result;
        if (facts.can_be_immunised) result.advice.add(Advice::immunise);
    }
    // What helps against the allocator's part would not have helped here.
    if (facts.cycle == Cycle::loader_locks) return result;
    if (needs_no_allocator(facts.cycle))
        advise_shim(facts, result.advice);
    else if (risky)
        advise(facts, result.advice);
    return result;
}

static_assert(judge({.allocator = {.is_libc = true}}).verdict == Verdict::not_affected);
static_assert(judge({.allocator = {.has_tc_malloc = true, .has_growth_stacks = true, .glibc_minor = 36}}).verdict ==
              Verdict::at_risk);
static_assert(judge({.allocator = {.is_libc = true}, .cycle = Cycle::other_locks}).verdict == Verdict::deadlocked);

}  // namespace unknot
