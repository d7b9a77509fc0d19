// SPDX-License-Identifier: Apache-2.0
// The sentences. One place, so that every output says the same.
#include "cli/say/words.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/read/trouble.h"

namespace unknot::cli {

namespace {

// Which of them allocate in a walk, and how that is known.
std::string sentence_of_walkers(const std::vector<Walker>& walkers) {
    std::string text;
    for (const Walker& walker : walkers) {
        if (!walker.allocates()) continue;
        if (!text.empty()) text += "; ";
        text += fmt::format("{} ({}) {} while it holds the loader lock: {}", title(walker), walker.object,
                            walker.habit == Habit::allocates_in_walk ? "allocates" : "may allocate", walker.evidence);
    }
    return text;
}

}  // namespace

bool goes_through_loader(const Deadlock& deadlock) {
    return std::any_of(deadlock.cycle.begin(), deadlock.cycle.end(),
                       [](const CycleStep& step) { return step.through_loader; });
}

std::string title(const Walker& walker) {
    return walker.version.empty() ? walker.tool : walker.tool + " " + walker.version;
}

std::string describe_walker(const Walker& walker) {
    const char* does = "walks, and allocates nothing meanwhile";
    switch (walker.habit) {
        case Habit::walks_not:
            does = "does not walk";
            break;
        case Habit::allocates_not:
            break;
        case Habit::may_allocate_in_walk:
            does = "walks, and may allocate meanwhile";
            break;
        case Habit::allocates_in_walk:
            does = "allocates inside walks";
            break;
        case Habit::locks_around_walk:
            does = "walks under a lock that its malloc takes";
            break;
        case Habit::unwinds_in_signals:
            does = "takes stack traces in signal handlers";
            break;
    }
    return fmt::format("{} ({}): {}; {}", title(walker), walker.object, does, walker.evidence);
}

std::string sentence(Reason reason, const Examination& found) {
    const std::string allocator = allocator_name(found);
    switch (reason) {
        case Reason::cycle_seen:
            return "its threads wait for each other through a loader lock and none of them has moved";
        case Reason::cycle_of_loader_locks:
            return "its threads wait for each other through loader locks alone, taken in two orders, and none of them "
                   "has "
                   "moved: no allocator takes part, so neither another allocator nor the shim is a cure";
        case Reason::waits_under_loader_lock:
            return "a thread that owns a loader lock (a constructor, a destructor, an exit handler, JNI_OnLoad) waits "
                   "for "
                   "one that waits for that lock: no allocator takes part, so neither another allocator nor the shim "
                   "is a "
                   "cure";
        case Reason::cycle_of_application_locks:
            return goes_through_loader(found.deadlock)
                       ? "its threads wait for each other through a loader lock and locks of the program, and none of "
                         "them "
                         "allocates or unwinds meanwhile: neither another allocator nor the shim is a cure"
                       : "its threads wait for each other through locks of the program: neither the loader nor the "
                         "allocator takes part, so the shim is no cure";
        case Reason::waits_for_own_lock:
            return "a thread waits for a lock that it holds itself: a signal handler, a callback or a look-up of "
                   "functions (dlsym) came back into it. It is no lock of the loader, so the shim is no cure";
        case Reason::lock_abandoned:
            return "a thread waits for a mutex whose owner is no thread of this process: it was forked while another "
                   "thread held it, or that thread ended. It is no lock of the loader, so the shim is no cure";
        case Reason::not_permitted:
            return "it may not be read: " + found.missing_permission;
        case Reason::has_ended:
            return "it has ended, or its first thread has, and only its entry in the process table is left";
        case Reason::other_word_size:
            return fmt::format(
                "it is a 32-bit process ({}): this command reads 64-bit ones, and there is no 32-bit shim",
                found.machine);
        case Reason::malloc_not_found:
            return "no malloc was found by name: a stripped static program";
        case Reason::file_unreadable:
            return "a file that may define its malloc could not be read (see the notes)";
        case Reason::waits_unreadable:
            return "whether it is deadlocked cannot be told: " + found.deadlock.cannot_tell;
        case Reason::end_not_shown:
            return found.deadlock.suspicion;
        case Reason::forked_beside_walk:
            return "it was forked while another thread walked the loaded objects: libc leaves the child with a write "
                   "lock "
                   "that nobody will ever release";
        case Reason::walk_interrupted:
            return "a signal came while its thread took or left the write lock, and the handler walks the loaded "
                   "objects: "
                   "it waits for the thread that it has interrupted";
        case Reason::both_edges_witnessed:
            return "observe mode saw both edges: allocations under a loader lock, and walks from inside the allocator";
        case Reason::unwinds_with_libunwind:
            return fmt::format(
                "{} takes stack traces inside malloc through libunwind, which calls dl_iterate_phdr and "
                "waits for the loader lock",
                allocator);
        case Reason::unwinds_with_old_libgcc:
            return fmt::format(
                "{} takes stack traces inside malloc through a libgcc_s that calls dl_iterate_phdr "
                "(lock-free look-up needs glibc 2.35 and libgcc 12)",
                allocator);
        case Reason::unwinds_with_wrong_libgcc:
            return fmt::format(
                "{} asks for libgcc's unwinder, but _Unwind_Backtrace is bound to libunwind, which exports "
                "that name too",
                allocator);
        case Reason::unwinds_somehow:
            return fmt::format("{} takes stack traces inside malloc, and by which method could not be found out",
                               allocator);
        case Reason::allocator_profiles:
            return "jemalloc's profiler is on (prof:true): it takes stack traces inside malloc";
        case Reason::allocator_unknown:
            return fmt::format("malloc belongs to {}, which this program does not know: assumed to take stack traces",
                               found.allocator.object.empty() ? "an unnamed object" : found.allocator.object);
        case Reason::walker_allocates:
            return sentence_of_walkers(found.walkers);
        case Reason::never_unwinds:
            return fmt::format("{} takes no stack traces inside malloc", allocator);
        case Reason::profiling_off:
            return "jemalloc takes stack traces only with prof:true, which is not set";
        case Reason::unwinds_without_loader:
            if (found.allocator.is_cut)
                return fmt::format("{} takes no stack traces any more: {}", allocator, found.allocator.method_source);
            return fmt::format("{} takes its stack traces by {}, without the loader", allocator,
                               cli::name_of(found.allocator.evidence.stack_method));
        case Reason::sanitizer_allocates:
            return "malloc belongs to a sanitizer, which unwinds by frame pointers, without the loader";
        case Reason::shim_protects:
            return found.shim.probe == Probe::none
                       ? "the shim is preloaded first, in mode protect"
                       : fmt::format("the shim is in mode protect (probe {}, walks {})", cli::name_of(found.shim.probe),
                                     cli::name_of(found.shim.walk_mode));
        case Reason::shim_protects_by_walks:
            return fmt::format(
                "protected by its walks alone (mode {}): what that covers: every cycle through an allocator's or "
                "unwinder's "
                "walk; what stays open: loader calls other than walks inside malloc",
                cli::name_of(found.shim.mode));
        case Reason::shim_passive:
            return fmt::format("the shim is loaded, but in mode {}{}: it does not protect",
                               cli::name_of(found.shim.mode),
                               follows_rule_2(found.shim.mode) && found.shim.walk_mode == WalkMode::native
                                   ? " with walks that wait (UNKNOT_WALK=native)"
                                   : "");
        case Reason::shim_bypassed:
            return "the shim is loaded, but calls of malloc do not reach it";
        case Reason::shim_sees_walks_only:
            return "the shim could not find this libc's loader locks: it knows of dl_iterate_phdr calls only, not of "
                   "dlopen";
    }
    return {};
}

// Protected by what protects it; otherwise the first one.
std::string main_reason(const Examination& found) {
    const auto& reasons = found.judgement.reasons;
    for (const Reason protects : {Reason::shim_protects, Reason::shim_protects_by_walks})
        if (reasons.has(protects) && found.judgement.verdict == Verdict::is_protected) return sentence(protects, found);
    return reasons.count == 0 ? std::string() : sentence(reasons.items[0], found);
}

std::string sentence(const CycleStep& step) {
    std::string begin = fmt::format("thread {} ({})", step.tid, step.thread_name);
    if (!step.callback.empty()) begin += fmt::format(", in the callback {} of a dl_iterate_phdr,", step.callback);
    begin += " waits for " + step.waits_for;
    switch (step.source) {
        case OwnerSource::recorded:
            return fmt::format("{}, which thread {} owns", begin, step.held_by);
        case OwnerSource::inferred:
            return fmt::format("{}, which thread {} holds (inferred, such a lock records no owner: {})", begin,
                               step.held_by, step.evidence);
        case OwnerSource::interrupted:
            return fmt::format(
                "{}, which it has taken itself without being recorded as its owner (inferred: a signal interrupted it "
                "in "
                "{}, below the handler on its own stack)",
                begin, step.evidence);
        case OwnerSource::joined:
            return fmt::format("thread {} ({}) waits for the end of thread {} (pthread_join)", step.tid,
                               step.thread_name, step.held_by);
        case OwnerSource::itself:
            return fmt::format("{}, which it holds itself{}", begin, step.evidence.empty() ? "" : ": " + step.evidence);
        case OwnerSource::nobody:
            return fmt::format("{}, which has no owner: another thread must bring it, and all the others wait too",
                               begin);
        case OwnerSource::absent:
            if (!step.through_loader)
                return fmt::format("{}, a mutex whose recorded owner {} is no thread of this process", begin,
                                   step.recorded_owner);
            return fmt::format(
                "{}, whose recorded owner {} is no thread of this process: it was forked while another thread "
                "held the lock",
                begin, step.recorded_owner);
    }
    return begin;
}

std::string allocator_name(const Examination& found) {
    if (found.allocator.sanitizer) return "a sanitizer's";
    // The policy knows one kind for every libc's own malloc.
    if (found.allocator.kind == AllocatorKind::glibc && found.libc.name != "unknown") return found.libc.name;
    return cli::name_of(found.allocator.kind);
}

std::string describe_allocator(const Examination& found) {
    const AllocatorFacts& facts = found.allocator;
    if (facts.object.empty()) return "not found";
    std::string text = allocator_name(found);
    if (!facts.version.empty()) text += ", " + facts.version;
    text += fmt::format(" ({}{})", facts.object, facts.in_executable ? ", part of the executable" : "");
    for (const std::string& unused : facts.unused)
        text += fmt::format("; {} is loaded, but its malloc is not called", unused);
    return text;
}

std::string describe_stack_method(const Examination& found) {
    const AllocatorFacts& facts = found.allocator;
    if (facts.kind == AllocatorKind::jemalloc && !facts.evidence.prof_enabled) return "none: prof is off";
    if (facts.evidence.stack_method == StackMethod::none)
        return facts.is_cut ? fmt::format("none ({})", facts.method_source) : "none";
    std::string text = cli::name_of(facts.evidence.stack_method);
    if (!facts.unwinder.empty()) text += fmt::format(", by {}", facts.unwinder);
    if (!facts.method_source.empty()) text += fmt::format(" ({})", facts.method_source);
    return text;
}

std::string describe_shim(const Examination& found) {
    if (!found.shim.present) return "not loaded";
    std::string text = fmt::format("{}, mode {}", found.shim_library, cli::name_of(found.shim.mode));
    if (found.page)
        text += fmt::format(", version {}, probe {}, walks {}", found.page->library_version,
                            cli::name_of(found.page->page.probe), cli::name_of(found.page->page.walk_mode));
    if (!found.shim.reached && found.shim.mode != Mode::walks) text += ", not reached by malloc";
    return text;
}

int exit_code_of(const Examination& found) {
    switch (found.judgement.verdict) {
        case Verdict::deadlocked:
            return exit_deadlocked;
        case Verdict::at_risk:
            return exit_at_risk;
        case Verdict::is_protected:
        case Verdict::not_affected:
            return exit_fine;
        case Verdict::unknown:
            break;
    }
    return exit_trouble;
}

}  // namespace unknot::cli
