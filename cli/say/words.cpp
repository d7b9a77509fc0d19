// SPDX-License-Identifier: Apache-2.0
// The sentences. One place, so that every output says the same.
#include "cli/say/words.h"

#include <fmt/format.h>

#include "cli/read/trouble.h"

namespace unknot::cli {

std::string name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::not_affected:
            return "not affected";
        case Verdict::is_protected:
            return "protected";
        case Verdict::at_risk:
            return "at risk";
        case Verdict::deadlocked:
            return "deadlocked";
    }
    return "unknown";
}

std::string key_of(Reason reason) {
    switch (reason) {
        case Reason::cycle_seen:
            return "cycle_seen";
        case Reason::cycle_of_loader_locks:
            return "cycle_of_loader_locks";
        case Reason::forked_beside_walk:
            return "forked_beside_walk";
        case Reason::walk_interrupted:
            return "walk_interrupted";
        case Reason::both_edges_witnessed:
            return "both_edges_witnessed";
        case Reason::unwinds_with_libunwind:
            return "unwinds_with_libunwind";
        case Reason::unwinds_with_old_libgcc:
            return "unwinds_with_old_libgcc";
        case Reason::unwinds_with_wrong_libgcc:
            return "unwinds_with_wrong_libgcc";
        case Reason::unwinds_somehow:
            return "unwinds_somehow";
        case Reason::allocator_profiles:
            return "allocator_profiles";
        case Reason::allocator_unknown:
            return "allocator_unknown";
        case Reason::walker_allocates:
            return "walker_allocates";
        case Reason::never_unwinds:
            return "never_unwinds";
        case Reason::profiling_off:
            return "profiling_off";
        case Reason::unwinds_without_loader:
            return "unwinds_without_loader";
        case Reason::sanitizer_allocates:
            return "sanitizer_allocates";
        case Reason::shim_protects:
            return "shim_protects";
        case Reason::shim_passive:
            return "shim_passive";
        case Reason::shim_bypassed:
            return "shim_bypassed";
        case Reason::shim_sees_walks_only:
            return "shim_sees_walks_only";
    }
    return "unknown";
}

std::string key_of(Advice advice) {
    switch (advice) {
        case Advice::rescue:
            return "rescue";
        case Advice::immunise:
            return "immunise";
        case Advice::end_the_process:
            return "end_the_process";
        case Advice::keep_one_order:
            return "keep_one_order";
        case Advice::upgrade_async_profiler:
            return "upgrade_async_profiler";
        case Advice::use_generic_fp:
            return "use_generic_fp";
        case Advice::use_libgcc:
            return "use_libgcc";
        case Advice::turn_profiling_off:
            return "turn_profiling_off";
        case Advice::use_tcmalloc_minimal:
            return "use_tcmalloc_minimal";
        case Advice::use_another_allocator:
            return "use_another_allocator";
        case Advice::link_tcmalloc_minimal:
            return "link_tcmalloc_minimal";
        case Advice::set_protect_mode:
            return "set_protect_mode";
        case Advice::preload_shim_first:
            return "preload_shim_first";
        case Advice::use_shim:
            return "use_shim";
    }
    return "unknown";
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
            return "an async-profiler before 4.0 is loaded: it may parse symbols, and allocate, while it holds the "
                   "loader lock";
        case Reason::never_unwinds:
            return fmt::format("{} takes no stack traces inside malloc", allocator);
        case Reason::profiling_off:
            return "jemalloc takes stack traces only with prof:true, which is not set";
        case Reason::unwinds_without_loader:
            return fmt::format("{} takes its stack traces by {}, without the loader", allocator,
                               cli::name_of(found.allocator.evidence.stack_method));
        case Reason::sanitizer_allocates:
            return "malloc belongs to a sanitizer, which unwinds by frame pointers, without the loader";
        case Reason::shim_protects:
            return found.shim.probe == Probe::none
                       ? "the shim is preloaded first, in mode protect"
                       : fmt::format("the shim is in mode protect (probe {}, walks {})", cli::name_of(found.shim.probe),
                                     cli::name_of(found.shim.walk_mode));
        case Reason::shim_passive:
            return fmt::format("the shim is loaded, but in mode {}: it does not protect",
                               cli::name_of(found.shim.mode));
        case Reason::shim_bypassed:
            return "the shim is loaded, but calls of malloc do not reach it";
        case Reason::shim_sees_walks_only:
            return "the shim could not find this libc's loader locks: it knows of dl_iterate_phdr calls only, not of "
                   "dlopen";
    }
    return {};
}

std::string sentence(Advice advice, const Examination& found) {
    switch (advice) {
        case Advice::rescue:
            return fmt::format("bring it back, it loses nothing but stack traces: unknot rescue {}", found.pid);
        case Advice::immunise:
            return fmt::format("keep it from this deadlock while it runs, without a restart: unknot immunise {}",
                               found.pid);
        case Advice::end_the_process:
            if (found.is_core) return "what is dead of it does not come back by itself";
            return found.pid == 0 ? "end it with SIGKILL"
                                  : fmt::format(
                                        "it will not go on by itself: end it with kill -KILL {} (libunwind keeps "
                                        "other signals pending)",
                                        found.pid);
        case Advice::keep_one_order:
            return "mend the program: no dladdr, dlsym, dlopen or dlclose inside a dl_iterate_phdr callback; remember "
                   "the "
                   "addresses there and ask about them afterwards";
        case Advice::upgrade_async_profiler:
            return "upgrade async-profiler to 4.0 or later, which does not allocate inside a walk";
        case Advice::use_generic_fp:
            return "start it with TCMALLOC_STACKTRACE_METHOD=generic_fp (this build has it); traces are complete where "
                   "code "
                   "is built with -fno-omit-frame-pointer";
        case Advice::use_libgcc:
            return fmt::format(
                "start it with TCMALLOC_STACKTRACE_METHOD=libgcc (this build has it, and on glibc 2.{} its "
                "look-up takes no lock; _Unwind_Backtrace is bound to libgcc here)",
                found.libc.glibc_minor);
        case Advice::turn_profiling_off:
            return "start it without prof:true in MALLOC_CONF";
        case Advice::use_tcmalloc_minimal:
            return "use libtcmalloc_minimal, the same allocator without stack traces (and without its heap profiler)";
        case Advice::use_another_allocator:
            return "use an allocator that takes no stack traces: glibc's own, mimalloc, tcmalloc_minimal";
        case Advice::link_tcmalloc_minimal:
            return "malloc is part of this executable, so no preloaded library can replace it: link it with "
                   "libtcmalloc_minimal, or with tcmalloc as a shared library";
        case Advice::set_protect_mode:
            return "start it with UNKNOT_MODE=protect: the shim is loaded already";
        case Advice::preload_shim_first:
            return "put the shim before the allocator in LD_PRELOAD (unknot run does)";
        case Advice::use_shim:
            return found.facts.allocator.is_libc || found.facts.both_edges_witnessed ||
                           needs_no_allocator(found.facts.cycle)
                       ? "start it under the shim: unknot run --mode protect -- COMMAND"
                       : "start it under the shim, which cuts both edges: unknot run -- COMMAND";
    }
    return {};
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
        case OwnerSource::absent:
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
    if (!found.shim.reached) text += ", not reached by malloc";
    return text;
}

int exit_code_of(const Examination& found) {
    switch (found.judgement.verdict) {
        case Verdict::deadlocked:
            return exit_deadlocked;
        case Verdict::at_risk:
            break;
        case Verdict::is_protected:
            break;
        case Verdict::not_affected:
            return exit_fine;
    }
    // What rests on memory that may not be read is no answer for a script.
    if (!found.missing_permission.empty()) return exit_trouble;
    return found.judgement.verdict == Verdict::at_risk ? exit_at_risk : exit_fine;
}

}  // namespace unknot::cli
