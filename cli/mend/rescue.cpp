// SPDX-License-Identifier: Apache-2.0
#include "cli/mend/rescue.h"

#include <unistd.h>

#include <chrono>
#include <map>
#include <thread>

#include "cli/mend/immunise.h"
#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

// Each one sends back who waits then; a walk that begins before the cure is seen needs a second.
constexpr int most_rounds = 20;
constexpr int most_looks = 5;
constexpr auto watched_for = std::chrono::seconds(1);

// One look, and what follows from it. True: something was changed, so another look is due.
bool one_round(const Process& process, bool dry, Rescue& result) {
    const auto mappings = process.mappings();
    const Objects objects = objects_of(process, mappings);
    Examination found = examine_process(process, mappings, objects);
    // On a busy machine a look can miss a waiter that wakes up now and then; that somebody has slept in the loader's
    // lock all the time is no answer.
    for (int look = 1; look < most_looks && !found.deadlock.seen && !found.deadlock.suspicion.empty(); ++look)
        found = examine_process(process, mappings, objects);
    if (!found.missing_permission.empty()) throw NotPermitted(found.missing_permission);
    if (!found.deadlock.cannot_tell.empty())
        throw Trouble("whether it is deadlocked cannot be told: " + found.deadlock.cannot_tell);
    const bool first = result.rounds == 0;
    if (first && !found.deadlock.seen && !found.deadlock.suspicion.empty()) throw Trouble(found.deadlock.suspicion);
    if (first) result.before = found;
    result.refusal = why_not_rescue(found.mending);
    if (result.refusal == Refusal::not_deadlocked) {
        result.end = first                              ? RescueEnd::nothing_to_do
                     : found.deadlock.suspicion.empty() ? RescueEnd::moves
                                                        : RescueEnd::still_dead;
        result.refusal = Refusal::none;
        return false;
    }
    result.end = first ? RescueEnd::refused : RescueEnd::still_dead;
    if (result.refusal != Refusal::none) return false;
    ++result.rounds;

    if (found.mending.cycle == Cycle::owner_gone) {
        if (dry) return false;
        result.locks.push_back(give_back(process, *write_lock_of(found.deadlock)));
        result.refusal = result.locks.back().refusal;
        return result.refusal == Refusal::none;
    }
    const auto waiting = waiters_of(found.deadlock);
    std::vector<const ThreadReport*> chosen;
    for (const ThreadReport* thread : waiting) {
        const Refusal seen = way_seen(objects, found.allocator.object_start, thread->stack);
        if (seen == Refusal::none) chosen.push_back(thread);
        if (seen != Refusal::none || dry) {
            SentBack one;
            one.tid = thread->state.tid;
            one.name = thread->state.name;
            one.refusal = seen;
            result.threads.push_back(one);
        }
    }
    if (chosen.empty()) {
        result.refusal = Refusal::walk_not_listed;
        return false;
    }
    if (dry) return false;
    if (!found.cure.applied()) {
        apply(process, found.cure);
        result.immunised = true;
    }
    bool again = false;
    for (const ThreadReport* thread : chosen) {
        try {
            result.threads.push_back(send_back(process, objects, found.allocator.object_start, thread->state));
        } catch (const ProcessGone&) {
            process.expect_still_the_same();
            again = true;  // the thread alone has ended: it moved
            continue;
        }
        // One that was awake may have been handed the lock: the next look tells.
        result.refusal = result.threads.back().refusal;
        again = again || result.refusal == Refusal::none || result.refusal == Refusal::awake;
    }
    if (again) result.refusal = Refusal::none;
    return again;
}

// Its memory goes before it does.
bool is_ending(const Process& process) {
    constexpr int looks = 20;
    for (int look = 0; look < looks; ++look) {
        if (!process.still_the_same()) return true;
        std::this_thread::sleep_for(watched_for / looks);
    }
    return false;
}

// Do its threads run again?
void watch(const Process& process, Rescue& result) {
    std::map<pid_t, ThreadState> before;
    for (const ThreadState& thread : process.threads()) before.emplace(thread.tid, thread);
    std::this_thread::sleep_for(watched_for);
    process.expect_still_the_same();
    const double tick_ms = 1000.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
    result.ran = 0;
    result.cpu_ms = 0;
    const auto threads = process.threads();
    result.of = threads.size();
    for (const ThreadState& thread : threads) {
        const auto then = before.find(thread.tid);
        const std::uint64_t switches = then == before.end() ? 0 : then->second.switches;
        const std::uint64_t ticks = then == before.end() ? 0 : then->second.cpu_ticks;
        if (thread.switches != switches || thread.cpu_ticks != ticks) ++result.ran;
        result.cpu_ms += static_cast<double>(thread.cpu_ticks - ticks) * tick_ms;
    }
}

}  // namespace

Rescue rescue_process(pid_t pid, bool dry) {
    Rescue result;
    const Process process(pid);
    try {
        while (one_round(process, dry, result) && result.rounds < most_rounds) {
        }
        if (result.end == RescueEnd::moves) watch(process, result);
    } catch (const ProcessGone&) {
        if (result.rounds == 0) throw;
        result.end = RescueEnd::ended;
    } catch (const Trouble&) {
        if (result.rounds == 0 || !is_ending(process)) throw;
        result.end = RescueEnd::ended;
    }
    return result;
}

}  // namespace unknot::cli
