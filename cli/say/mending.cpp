// SPDX-License-Identifier: Apache-2.0
#include "cli/say/mending.h"

#include <fmt/format.h>

#include <iterator>

#include "cli/say/words.h"

namespace unknot::cli {
namespace {

std::string name_of_state(std::uint64_t word, const Cure& cure) {
    if (word == cure.cured) return cure.cured_text;
    if (word == cure.original) return cure.original_text;
    return fmt::format("{:#x}", word);
}

}  // namespace

std::string sentence(Refusal refusal, const MendingFacts& facts) {
    switch (refusal) {
        case Refusal::none:
            return {};
        case Refusal::not_deadlocked:
            return "it is not deadlocked";
        case Refusal::other_cycle:
            return facts.cycle == Cycle::loader_locks ? "its threads wait for each other through loader locks alone: "
                                                        "no stack trace can be given up there"
                                                      : "its thread waits for a walk that a signal interrupted, and "
                                                        "would wait again: its own stack holds "
                                                        "the lock";
        case Refusal::other_machine:
            return "sending a thread back is proved on x86_64 only; `unknot immunise` works here";
        case Refusal::unproved_libc:
            return facts.glibc_minor == 0
                       ? std::string("its libc is not glibc, or not known")
                       : fmt::format(
                             "what glibc 2.{} leaves behind in a walk that waits has not been proved (2.31, 2.36 "
                             "and 2.41 have)",
                             facts.glibc_minor);
        case Refusal::is_stopped:
            return "it is stopped (SIGSTOP or job control): send it SIGCONT first";
        case Refusal::is_traced:
            return "another program traces it (a debugger, strace): end that first";
        case Refusal::has_shadow_stack:
            return "it has user shadow stacks: a thread that is sent back would be killed at its next return";
        case Refusal::allocator_in_executable:
            return "its malloc is part of the executable, so that the allocator's stack traces cannot be told from the "
                   "program's own";
        case Refusal::no_cure:
            return "there is no way known to make it immune, and without that it would hang again in the next walk";
        case Refusal::list_is_edited:
            return "it was forked in the middle of a dlopen or dlclose: the loader's list of objects may be half of "
                   "one";
        case Refusal::changed:
            return "it has changed since it was judged";
        case Refusal::frame_not_unwound:
            return "its frames up to the allocator cannot be unwound exactly";
        case Refusal::not_in_walk:
            return "it does not wait at the beginning of libc's own dl_iterate_phdr";
        case Refusal::walk_not_listed:
            return "the walk is not one that an unwinder makes inside the allocator (a profiler's, a C++ throw's): it "
                   "needs "
                   "its answer";
        case Refusal::awake:
            return "it no longer sleeps as it was judged: it may just have been handed the lock";
    }
    return {};
}

std::string describe(const Cure& cure) {
    if (cure.kind == CureKind::none) return cure.why_not;
    return fmt::format("{} (the word at {:#x}) holds {:#x}, {}", cure.place, cure.address, cure.now,
                       name_of_state(cure.now, cure));
}

std::string account_of(const Rescue& rescue, bool dry) {
    std::string text;
    const auto out = std::back_inserter(text);
    const Examination& found = rescue.before;
    fmt::format_to(out, "process {} ({}): {}\n", found.pid, found.name, cli::name_of(found.judgement.verdict));
    for (const CycleStep& step : found.deadlock.cycle) fmt::format_to(out, "  - {}\n", sentence(step));
    if (rescue.end == RescueEnd::nothing_to_do) {
        fmt::format_to(out, "nothing to do\n");
        return text;
    }
    const bool allowed = rescue.end != RescueEnd::refused || rescue.refusal == Refusal::none;
    if (allowed && found.mending.cycle == Cycle::other_locks) {
        if (found.cure.applied())
            fmt::format_to(out, "immune already: {} is {}\n", found.cure.place, found.cure.cured_text);
        else if (rescue.immunised || dry)
            fmt::format_to(out, "{}: {}, written as {:#x} to {:#x}, where {:#x} was\n  lost: {}\n",
                           dry ? "would be made immune" : "made immune",
                           found.cure.place + (dry ? " would be " : " is ") + found.cure.cured_text, found.cure.cured,
                           found.cure.address, found.cure.now, found.cure.lost);
    }
    for (const SentBack& one : rescue.threads) {
        if (one.refusal != Refusal::none)
            fmt::format_to(out, "thread {} ({}) was left alone: {}\n", one.tid, one.name,
                           sentence(one.refusal, found.mending));
        else if (dry)
            fmt::format_to(
                out,
                "thread {} ({}) would be sent back: it waits for the write lock in a walk of the allocator's own "
                "stack trace, and owns nothing of that walk yet\n",
                one.tid, one.name);
        else
            fmt::format_to(
                out, "thread {} ({}) was sent back {}out of {} to {}; it stood for {:.2f} ms{}\n", one.tid, one.name,
                one.times == 1 ? std::string() : fmt::format("{} times ", one.times), one.out_of, one.to,
                one.all_us / 1000,
                one.times == 1 ? std::string() : fmt::format(" in all, {:.2f} at most", one.longest_us / 1000));
    }
    if (dry && allowed && found.mending.cycle == Cycle::owner_gone)
        fmt::format_to(out, "the write lock would be given back for an owner that is no thread of this process\n");
    for (const GivenBack& one : rescue.locks)
        fmt::format_to(out,
                       "the write lock was given back for an owner that does not exist; {} {} stood for {:.2f} ms\n",
                       one.threads, one.threads == 1 ? "thread" : "threads", one.held_us / 1000);
    switch (rescue.end) {
        case RescueEnd::refused:
            if (!allowed) fmt::format_to(out, "refused: {}\n", sentence(rescue.refusal, found.mending));
            break;
        case RescueEnd::moves:
            fmt::format_to(out, "it moves: in one second {} of its {} threads ran, {:.0f} ms of CPU time\n", rescue.ran,
                           rescue.of, rescue.cpu_ms);
            break;
        case RescueEnd::ended:
            fmt::format_to(out, "it went on, and has ended meanwhile\n");
            break;
        case RescueEnd::still_dead:
            fmt::format_to(out, "still dead after {} {}{}\n", rescue.rounds, rescue.rounds == 1 ? "round" : "rounds",
                           rescue.refusal == Refusal::none ? "" : ": " + sentence(rescue.refusal, found.mending));
            break;
        case RescueEnd::nothing_to_do:
            break;
    }
    return text;
}

}  // namespace unknot::cli
