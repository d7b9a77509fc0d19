// SPDX-License-Identifier: Apache-2.0
// A deadlock is a wait that cannot end. Seen once, a thread that waits for a lock means nothing: it is looked at until
// either somebody moves or nobody has for a second.
#include "cli/judge/threads.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "cli/judge/may_be_stuck.h"
#include "cli/judge/samples.h"
#include "cli/judge/steps.h"
#include "cli/judge/waits.h"

namespace unknot::cli {
namespace {

constexpr int samples_wanted = 6;
constexpr int interval_ms = 200;
constexpr std::size_t most_stacks = 64;

class Search {
  public:
    Search(const Process& process, const std::vector<Mapping>& mappings, const Objects& objects, unsigned glibc_minor,
           const std::string& allocator)
        : process_(process),
          objects_(objects),
          glibc_minor_(glibc_minor),
          steps_(process, mappings, objects, samples_, result_.locks, allocator) {}

    Deadlock run();

  private:
    bool nobody_else_can_move(const std::vector<CycleStep>& chain) const;
    bool follow(pid_t first);
    bool end_of(std::vector<CycleStep> chain, pid_t last);
    void suspect(const std::vector<CycleStep>& chain, pid_t last);
    void describe_threads();

    const Process& process_;
    const Objects& objects_;
    unsigned glibc_minor_;
    Deadlock result_;
    Samples samples_;
    Steps steps_;
};

// Whoever could bring what the last of them waits for is itself one that waits for a thread.
bool Search::nobody_else_can_move(const std::vector<CycleStep>& chain) const {
    const bool chain_waits = std::all_of(chain.begin(), chain.end(), [&](const CycleStep& step) {
        return step.through_loader || samples_.waits_for_a_thread(step.tid);
    });
    return chain_waits && std::all_of(samples_.last().begin(), samples_.last().end(),
                                      [&](const auto& entry) { return samples_.waits_for_a_thread(entry.first); });
}

void Search::suspect(const std::vector<CycleStep>& chain, pid_t last) {
    if (chain.empty() || !result_.suspicion.empty()) return;
    const bool matters = std::any_of(chain.begin(), chain.end(), [](const CycleStep& step) {
        return step.through_loader || step.source == OwnerSource::itself;
    });
    if (!matters) return;  // a lock of the program that is held for long
    const CycleStep& first = chain.front();
    if (!samples_.never_ran(first.tid)) return;
    const std::string who = fmt::format("thread {} ({}) waits for {}", first.tid, first.thread_name, first.waits_for);
    if (last == 0) {
        result_.suspicion = who + " all the time, and who keeps it from going on could not be shown";
        return;
    }
    const auto thread = samples_.last().find(last);
    if (thread == samples_.last().end() || !samples_.never_ran(last)) return;  // it works, or has gone on
    const std::uint64_t address = waited_for(thread->second);
    result_.suspicion = fmt::format(
        "{} all the time, behind thread {} ({}), which {} and has not moved either: it is deadlocked unless "
        "something else lets that thread go on",
        who, last, thread->second.name,
        address != 0 ? "waits for " + steps_.lock_name(address)
                     : fmt::format("is in system call {}", thread->second.syscall));
}

// The chain has come to a thread that waits for nothing with an owner.
bool Search::end_of(std::vector<CycleStep> chain, pid_t last) {
    const bool owns_loader = chain.size() > 1 && chain[chain.size() - 2].through_loader;
    if (!chain.empty() && chain.back().source == OwnerSource::nobody && !chain.back().through_loader && owns_loader &&
        nobody_else_can_move(chain)) {
        result_.cycle = std::move(chain);
        return true;
    }
    suspect(chain, last);
    return false;
}

// From a waiter along the owners, until a thread comes round again, an owner does not exist, or nobody can be named.
bool Search::follow(pid_t first) {
    std::vector<CycleStep> chain;
    for (pid_t tid = first;;) {
        const std::uint64_t address = samples_.steady_wait(tid);
        if (address == 0) return end_of(std::move(chain), tid);
        chain.push_back(steps_.step_of(tid, address));
        const CycleStep& step = chain.back();
        // Of a spin lock's waiter, which wakes up now and then, this is not asked.
        if (step.source != OwnerSource::inferred && !samples_.never_ran(tid)) return false;
        if (step.source == OwnerSource::absent || step.source == OwnerSource::interrupted) {
            result_.cycle = {step};
            return true;
        }
        if (step.source == OwnerSource::itself) {
            // Another thread may be meant to unlock it, as long as libc does not mind: not where a handler came back
            // into it, and not where nobody is left to do so.
            if (!step.evidence.empty() || nobody_else_can_move(chain)) return result_.cycle = std::move(chain), true;
            suspect(chain, tid);
            return false;
        }
        if (step.held_by == 0) return end_of(std::move(chain), step.source == OwnerSource::nobody ? tid : 0);
        tid = step.held_by;
        const auto again =
            std::find_if(chain.begin(), chain.end(), [&](const CycleStep& each) { return each.tid == tid; });
        if (again == chain.end()) continue;
        result_.cycle.assign(again, chain.end());
        return true;
    }
}

void Search::describe_threads() {
    const auto in_cycle = [&](pid_t tid) {
        return std::any_of(result_.cycle.begin(), result_.cycle.end(),
                           [&](const CycleStep& step) { return step.tid == tid; });
    };
    for (const bool wanted : {true, false}) {
        for (const auto& [tid, thread] : samples_.last()) {
            if (in_cycle(tid) != wanted) continue;
            ThreadReport report;
            report.state = thread;
            report.never_ran = samples_.never_ran(tid);
            const std::uint64_t address = waited_for(thread);
            report.waiting = address != 0        ? "waits for " + steps_.lock_name(address)
                             : thread.in_syscall ? fmt::format("in system call {}", thread.syscall)
                                                 : "running";
            if (result_.threads.size() < most_stacks) report.stack = steps_.stack_of(tid);
            result_.threads.push_back(std::move(report));
        }
    }
}

Deadlock Search::run() {
    result_.locks = find_loader_locks(process_, objects_, glibc_minor_);
    samples_.add(process_.threads());
    result_.samples = 1;
    const bool readable = std::all_of(samples_.last().begin(), samples_.last().end(),
                                      [](const auto& entry) { return entry.second.syscall_readable; });
    if (!process_.denied().empty() || (result_.locks.locks.empty() && glibc_minor_ != 0)) {
        result_.cannot_tell = !process_.denied().empty() ? process_.denied() : result_.locks.why_not;
        return result_;
    }
    if (!readable) result_.cannot_tell = "this kernel does not tell what threads wait for (/proc/PID/task/TID/syscall)";
    if (!may_be_stuck(process_, samples_.last(), result_.locks)) return result_;

    for (int n = 1; n < samples_wanted; ++n) {
        std::this_thread::sleep_for(std::chrono::milliseconds(interval_ms));
        process_.expect_still_the_same();
        samples_.add(process_.threads());
    }
    result_.samples = samples_wanted;
    result_.interval_ms = interval_ms;
    result_.locks = find_loader_locks(process_, objects_, glibc_minor_);
    // What goes through the loader first: a cycle behind which others merely queue is the one to tell.
    for (const bool loader : {true, false}) {
        for (const auto& [tid, thread] : samples_.last()) {
            const std::uint64_t address = samples_.steady_wait(tid);
            if (address == 0 || (result_.locks.at(address) != nullptr) != loader) continue;
            if (!loader && !waits_for_mutex(thread) && samples_.last().size() > 1) continue;
            if (result_.cycle.empty()) follow(tid);
        }
    }
    result_.seen = !result_.cycle.empty();
    if (result_.seen) result_.suspicion.clear();
    if (result_.seen || !result_.suspicion.empty()) describe_threads();
    return result_;
}

}  // namespace

Deadlock look_for_deadlock(const Process& process, const std::vector<Mapping>& mappings, const Objects& objects,
                           unsigned glibc_minor, const std::string& allocator) {
    return Search(process, mappings, objects, glibc_minor, allocator).run();
}

}  // namespace unknot::cli
