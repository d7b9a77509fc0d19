// SPDX-License-Identifier: Apache-2.0
// From facts about one process to: the verdict, the reasons for it, and what to do, best first. Pure; no libc. Only
// advice that would work on that very process is given.
#pragma once

#include "policy/allocator.h"
#include "policy/rules.h"
#include "policy/verdicts.h"

namespace unknot {

constexpr bool is_full_tcmalloc(AllocatorKind kind) {
    return kind == AllocatorKind::tcmalloc || kind == AllocatorKind::tcmalloc_debug;
}

// Edge M -> L, and why. `reasons` gets the sentence for either answer.
constexpr bool judge_allocator(const RiskFacts& facts, ShortList<Reason, 8>& reasons) {
    const AllocatorEvidence& seen = facts.allocator;
    if (facts.sanitizer) return reasons.add(Reason::sanitizer_allocates), false;
    const AllocatorKind kind = identify(seen);
    if (unwinds_inside_malloc(seen)) {
        if (kind == AllocatorKind::unknown) return reasons.add(Reason::allocator_unknown), true;
        if (kind == AllocatorKind::jemalloc) reasons.add(Reason::allocator_profiles);
        if (seen.stack_method == StackMethod::libunwind) reasons.add(Reason::unwinds_with_libunwind);
        if (seen.stack_method == StackMethod::libgcc)
            reasons.add(seen.unwind_backtrace_is_libunwind ? Reason::unwinds_with_wrong_libgcc
                                                           : Reason::unwinds_with_old_libgcc);
        if (seen.stack_method == StackMethod::unknown) reasons.add(Reason::unwinds_somehow);
        return true;
    }
    if (kind == AllocatorKind::jemalloc && !seen.prof_enabled)
        reasons.add(Reason::profiling_off);
    else if (kind == AllocatorKind::jemalloc)
        reasons.add(Reason::unwinds_without_loader);
    else
        reasons.add(is_full_tcmalloc(kind) ? Reason::unwinds_without_loader : Reason::never_unwinds);
    return false;
}

// Rule 2 alone breaks the two-lock cycle, and needs nothing of malloc: only to see who owns the locks that a walk would
// wait for.
constexpr bool shim_protects_by_walks(const ShimFacts& shim) {
    return shim.present && follows_rule_2(shim.mode) && !follows_rule_1(shim.mode) &&
           shim.probe == Probe::owner_words && shim.walk_mode == WalkMode::nonblocking;
}

// Rule 1 needs the owner words (a wrapper sees walks only), rule 2 the nonblocking walk; either cut is enough for the
// two-lock cycle.
constexpr bool shim_protects(const ShimFacts& shim) {
    if (shim_protects_by_walks(shim)) return true;
    return shim.present && shim.reached && shim.mode == Mode::protect &&
           (shim.probe == Probe::owner_words || shim.walk_mode == WalkMode::nonblocking);
}

constexpr void advise_shim(const RiskFacts& facts, ShortList<Advice, 8>& advice) {
    if (facts.is_static_glibc && !facts.shim.present) advice.add(Advice::link_walks);
    if (facts.is_static) return;
    if (facts.allocator.glibc_minor == 0) return;  // the shim reads glibc's locks
    if (!facts.shim.present) return advice.add(facts.malloc_in_executable ? Advice::use_walks_shim : Advice::use_shim);
    if (facts.shim.wrong_order) return advice.add(Advice::preload_shim_first);
    if (facts.shim.mode != Mode::protect && facts.shim.mode != Mode::walks) advice.add(Advice::set_protect_mode);
}

constexpr void advise(const RiskFacts& facts, ShortList<Advice, 8>& advice) {
    const AllocatorEvidence& seen = facts.allocator;
    const AllocatorKind kind = identify(seen);
    if (facts.async_profiler_allocates) advice.add(Advice::upgrade_async_profiler);
    if (is_full_tcmalloc(kind)) {
        if (facts.knows_generic_fp && seen.stack_method != StackMethod::generic_fp) advice.add(Advice::use_generic_fp);
        if (facts.knows_libgcc && seen.stack_method != StackMethod::libgcc && seen.glibc_minor >= 35 &&
            !seen.libgcc_walks && !seen.unwind_backtrace_is_libunwind)
            advice.add(Advice::use_libgcc);
        advice.add(facts.malloc_in_executable ? Advice::link_tcmalloc_minimal : Advice::use_tcmalloc_minimal);
    }
    if (kind == AllocatorKind::jemalloc) advice.add(Advice::turn_profiling_off);
    if (!is_full_tcmalloc(kind) && !facts.malloc_in_executable && !facts.is_static)
        advice.add(Advice::use_another_allocator);
    advise_shim(facts, advice);
}

constexpr Reason reason_for(Cycle cycle) {
    switch (cycle) {
        case Cycle::loader_locks:
            return Reason::cycle_of_loader_locks;
        case Cycle::waits_under_lock:
            return Reason::waits_under_loader_lock;
        case Cycle::application_locks:
            return Reason::cycle_of_application_locks;
        case Cycle::own_lock:
            return Reason::waits_for_own_lock;
        case Cycle::abandoned_lock:
            return Reason::lock_abandoned;
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

constexpr Reason reason_for(Missing missing) {
    switch (missing) {
        case Missing::life:
            return Reason::has_ended;
        case Missing::word_size:
            return Reason::other_word_size;
        case Missing::malloc:
            return Reason::malloc_not_found;
        case Missing::file:
            return Reason::file_unreadable;
        case Missing::waits:
            return Reason::waits_unreadable;
        case Missing::end:
            return Reason::end_not_shown;
        default:
            return Reason::not_permitted;
    }
}

constexpr Judgement unknown_for(Missing missing) {
    Judgement result;
    result.verdict = Verdict::unknown;
    result.reasons.add(reason_for(missing));
    if (missing == Missing::permission) result.advice.add(Advice::get_permission);
    if (missing == Missing::end) result.advice.add(Advice::look_again);
    return result;
}

constexpr bool shim_is_no_cure(Cycle cycle) {
    return cycle >= Cycle::loader_locks;
}

// Only the program can be mended.
constexpr Judgement beyond_the_shim(Cycle cycle) {
    Judgement result;
    result.verdict = Verdict::deadlocked;
    result.reasons.add(reason_for(cycle));
    result.advice.add(Advice::end_the_process);
    switch (cycle) {
        case Cycle::loader_locks:
            return result.advice.add(Advice::keep_one_order), result;
        case Cycle::waits_under_lock:
            return result.advice.add(Advice::wait_after_loading), result;
        case Cycle::application_locks:
            return result.advice.add(Advice::order_locks), result;
        case Cycle::own_lock:
            return result.advice.add(Advice::no_locks_in_handlers), result;
        case Cycle::abandoned_lock:
            return result.advice.add(Advice::no_locks_after_fork), result;
        default:
            return result;
    }
}

constexpr Judgement judge(const RiskFacts& facts) {
    if (shim_is_no_cure(facts.cycle)) return beyond_the_shim(facts.cycle);
    Judgement result;
    const bool deadlocked = facts.cycle != Cycle::none;
    if (deadlocked) {
        result.verdict = Verdict::deadlocked;
        result.reasons.add(reason_for(facts.cycle));
        if (facts.can_be_rescued) result.advice.add(Advice::rescue);
        result.advice.add(Advice::end_the_process);
    }
    if (facts.both_edges_witnessed) result.reasons.add(Reason::both_edges_witnessed);
    const bool asks = judge_allocator(facts, result.reasons);
    const bool risky = asks || facts.both_edges_witnessed;
    // A risk that was seen is one, also where a deadlock could not be excluded, or malloc not be found.
    const bool seen = facts.both_edges_witnessed || (asks && facts.missing == Missing::waits);
    if (!deadlocked && facts.missing != Missing::nothing && !(seen && facts.missing != Missing::end))
        return unknown_for(facts.missing);
    if (risky && facts.walker_allocates) result.reasons.add(Reason::walker_allocates);
    const bool safe = shim_protects(facts.shim);
    if (facts.shim.present && (risky || deadlocked)) {
        if (shim_protects_by_walks(facts.shim))
            result.reasons.add(Reason::shim_protects_by_walks);
        else if (!facts.shim.reached && facts.shim.mode != Mode::walks)
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
    if (needs_no_allocator(facts.cycle) || (deadlocked && !risky))
        advise_shim(facts, result.advice);
    else if (risky)
        advise(facts, result.advice);
    return result;
}

static_assert(judge({.allocator = {.is_libc = true}}).verdict == Verdict::not_affected);
static_assert(judge({.allocator = {.has_tc_malloc = true, .has_growth_stacks = true, .glibc_minor = 36}}).verdict ==
              Verdict::at_risk);
static_assert(judge({.missing = Missing::permission}).verdict == Verdict::unknown);
static_assert(judge({.allocator = {.is_libc = true}, .cycle = Cycle::other_locks}).verdict == Verdict::deadlocked);

}  // namespace unknot
