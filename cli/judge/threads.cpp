// SPDX-License-Identifier: Apache-2.0
// A deadlock is a cycle that does not move. Seen once, a thread that waits for a loader lock means nothing; a waiter
// that has not been on a processor since (its count of context switches stands still) proves that the lock was never
// handed on meanwhile, because handing it on wakes the waiter.
#include "cli/judge/threads.h"

#include <fmt/format.h>
#include <sys/syscall.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <thread>

#include "cli/judge/waits.h"
#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

constexpr int samples_wanted = 6;
constexpr int interval_ms = 200;
constexpr std::size_t most_stacks = 64;

using Snapshot = std::map<pid_t, ThreadState>;

class Search {
  public:
    Search(const Process& process, const std::vector<Mapping>& mappings, const Objects& objects, unsigned glibc_minor)
        : process_(process), mappings_(mappings), objects_(objects), glibc_minor_(glibc_minor) {}

    Deadlock run();

  private:
    Snapshot sample();
    bool has_waiter_for_loader(const Snapshot& snapshot) const;
    bool has_waiter_for_itself(const Snapshot& snapshot) const;
    void note_own_lock();
    std::uint64_t steady_wait(pid_t tid) const;
    bool never_ran(pid_t tid) const;
    pid_t thread_with_inner(std::int32_t inner) const;
    std::string lock_name(std::uint64_t address) const;
    std::optional<std::int32_t> recorded_owner(std::uint64_t address) const;
    pid_t inferred_owner(std::uint64_t address, std::string& evidence);
    const Stack& stack_of(pid_t tid);
    void look_for_interruption(CycleStep& step);
    CycleStep step_of(pid_t tid, std::uint64_t address);
    bool follow(pid_t first);
    void describe_threads();

    const Process& process_;
    const std::vector<Mapping>& mappings_;
    const Objects& objects_;
    unsigned glibc_minor_;
    std::vector<Snapshot> samples_;
    std::map<pid_t, Stack> stacks_;
    std::optional<StackReader> reader_;
    Deadlock result_;
};

Snapshot Search::sample() {
    Snapshot snapshot;
    for (ThreadState& thread : process_.threads()) {
        const pid_t tid = thread.tid;
        snapshot.emplace(tid, std::move(thread));
    }
    return snapshot;
}

bool Search::has_waiter_for_loader(const Snapshot& snapshot) const {
    return std::any_of(snapshot.begin(), snapshot.end(), [&](const auto& entry) {
        const std::uint64_t address = waited_for(entry.second);
        return address != 0 && result_.locks.at(address) != nullptr;
    });
}

bool Search::has_waiter_for_itself(const Snapshot& snapshot) const {
    return std::any_of(snapshot.begin(), snapshot.end(),
                       [&](const auto& entry) { return waits_for_itself(process_, entry.second); });
}

// No verdict: such a mutex may be meant for another thread to unlock, as long as libc does not mind.
void Search::note_own_lock() {
    for (const auto& [tid, thread] : samples_.back()) {
        const std::uint64_t address = steady_wait(tid);
        if (address == 0 || !never_ran(tid) || !waits_for_itself(process_, thread)) continue;
        result_.own_lock = fmt::format("thread {} ({}) waits for {}, a mutex that it owns itself", tid, thread.name,
                                       lock_name(address));
        return;
    }
}

// The address this thread waited for in every sample; a spin lock's waiter wakes up now and then (its futex wait has a
// timeout), so samples that met it awake do not count, as long as two met it asleep. 0: it moves.
std::uint64_t Search::steady_wait(pid_t tid) const {
    std::uint64_t address = 0;
    int met = 0;
    for (const Snapshot& snapshot : samples_) {
        const auto found = snapshot.find(tid);
        if (found == snapshot.end()) return 0;
        const std::uint64_t now = waited_for(found->second);
        if (now == 0 && found->second.in_syscall && found->second.syscall != SYS_nanosleep &&
            found->second.syscall != SYS_clock_nanosleep && found->second.syscall != SYS_sched_yield)
            return 0;
        if (now == 0) continue;
        if (address != 0 && address != now) return 0;
        address = now;
        ++met;
    }
    return met >= 2 ? address : 0;
}

bool Search::never_ran(pid_t tid) const {
    const ThreadState &first = samples_.front().at(tid), &last = samples_.back().at(tid);
    return first.switches == last.switches && first.cpu_ticks == last.cpu_ticks;
}

pid_t Search::thread_with_inner(std::int32_t inner) const {
    for (const auto& [tid, thread] : samples_.back())
        if (thread.inner_tid == inner) return tid;
    return 0;
}

std::string Search::lock_name(std::uint64_t address) const {
    if (const LoaderLock* lock = result_.locks.at(address)) return lock->name + " (loader lock)";
    const Object* object = objects_.containing(address);
    if (object == nullptr) return fmt::format("a futex at {:#x}", address);
    // libunwind's cache lock is a static that a stripped library has no name for.
    if (object->exports("__libunwind_Unwind_Backtrace") && !object->file->covering(address - object->bias))
        return fmt::format("a lock of libunwind, {}+{:#x}", object->name(), address - object->bias);
    return objects_.describe(address);
}

// A mutex records its owner. What lies at the address is one if it has a mutex's shape and the owner is a live thread,
// or, for the loader's locks, whatever it says.
std::optional<std::int32_t> Search::recorded_owner(std::uint64_t address) const {
    const LoaderLock* loader = result_.locks.at(address);
    const auto words = process_.read<MutexWords>(loader != nullptr ? loader->address : address);
    if (!words) return std::nullopt;
    if (loader != nullptr) return words->owner;
    if (!is_held_mutex(*words) || thread_with_inner(words->owner) == 0) return std::nullopt;
    return words->owner;
}

const Stack& Search::stack_of(pid_t tid) {
    const auto known = stacks_.find(tid);
    if (known != stacks_.end()) return known->second;
    if (!reader_) reader_.emplace(process_, objects_, mappings_);
    // The latest sample that met it asleep.
    for (auto snapshot = samples_.rbegin(); snapshot != samples_.rend(); ++snapshot) {
        const auto thread = snapshot->find(tid);
        if (thread != snapshot->end() && thread->second.in_syscall) return stacks_[tid] = reader_->read(thread->second);
    }
    return stacks_[tid];
}

// A spin lock has no owner word. Its holder, if it takes part in a deadlock through the loader, is a thread that waits
// for a loader lock with a frame of the lock's own object on its stack.
pid_t Search::inferred_owner(std::uint64_t address, std::string& evidence) {
    const Object* object = objects_.containing(address);
    if (object == nullptr) return 0;
    for (const auto& [tid, thread] : samples_.back()) {
        const std::uint64_t wait = steady_wait(tid);
        if (wait == 0 || wait == address || result_.locks.at(wait) == nullptr) continue;
        const Stack& stack = stack_of(tid);
        const Frame* inside = stack.named_frame_in(object->name());
        if (inside == nullptr) continue;
        evidence =
            fmt::format("its stack {} {}", inside->scanned ? "holds a return address in" : "is inside", inside->text);
        return tid;
    }
    return 0;
}

// Taken, and nobody has signed for it: the waiter itself was about to, or had just crossed its name out.
void Search::look_for_interruption(CycleStep& step) {
    const std::string place = stack_of(step.tid).interrupted_walk();
    if (place.empty() || !step.waits_for.starts_with("_dl_load_write_lock")) return;
    step.source = OwnerSource::interrupted;
    step.held_by = step.tid;
    step.evidence = place;
}

CycleStep Search::step_of(pid_t tid, std::uint64_t address) {
    CycleStep step;
    step.tid = tid;
    step.thread_name = samples_.back().at(tid).name;
    step.waits_for = lock_name(address);
    step.through_loader = result_.locks.at(address) != nullptr;
    step.callback = stack_of(tid).callback_of_walk();
    if (const auto owner = recorded_owner(address)) {
        step.recorded_owner = *owner;
        step.held_by = *owner == 0 ? 0 : thread_with_inner(*owner);
        if (step.through_loader && *owner != 0 && step.held_by == 0) step.source = OwnerSource::absent;
        if (step.through_loader && *owner == 0) look_for_interruption(step);
        return step;
    }
    step.held_by = inferred_owner(address, step.evidence);
    step.source = OwnerSource::inferred;
    return step;
}

// From a waiter for a loader lock along the owners, until a thread comes round again or an owner does not exist.
bool Search::follow(pid_t first) {
    std::vector<CycleStep> chain;
    for (pid_t tid = first;;) {
        const std::uint64_t address = steady_wait(tid);
        if (address == 0) return false;
        chain.push_back(step_of(tid, address));
        const CycleStep& step = chain.back();
        if (step.through_loader && !never_ran(tid)) return false;
        if (step.source == OwnerSource::absent || step.source == OwnerSource::interrupted) {
            result_.cycle = {step};
            return true;
        }
        if (step.held_by == 0) return false;
        tid = step.held_by;
        const auto again =
            std::find_if(chain.begin(), chain.end(), [&](const CycleStep& each) { return each.tid == tid; });
        if (again == chain.end()) continue;
        if (std::none_of(again, chain.end(), [](const CycleStep& each) { return each.through_loader; })) return false;
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
        for (const auto& [tid, thread] : samples_.back()) {
            if (in_cycle(tid) != wanted) continue;
            ThreadReport report;
            report.state = thread;
            report.never_ran = samples_.front().contains(tid) && never_ran(tid);
            const std::uint64_t address = waited_for(thread);
            report.waiting = address != 0        ? "waits for " + lock_name(address)
                             : thread.in_syscall ? fmt::format("in system call {}", thread.syscall)
                                                 : "running";
            if (result_.threads.size() < most_stacks) report.stack = stack_of(tid);
            result_.threads.push_back(std::move(report));
        }
    }
}

Deadlock Search::run() {
    result_.locks = find_loader_locks(process_, objects_, glibc_minor_);
    samples_.push_back(sample());
    result_.samples = 1;
    const bool readable = std::all_of(samples_[0].begin(), samples_[0].end(),
                                      [](const auto& entry) { return entry.second.syscall_readable; });
    if (!process_.denied().empty() || (result_.locks.locks.empty() && glibc_minor_ != 0)) {
        result_.cannot_tell = !process_.denied().empty() ? process_.denied() : result_.locks.why_not;
        return result_;
    }
    if (!readable) result_.cannot_tell = "this kernel does not tell what threads wait for (/proc/PID/task/TID/syscall)";
    if (!has_waiter_for_loader(samples_[0]) && !has_waiter_for_itself(samples_[0])) return result_;

    for (int n = 1; n < samples_wanted; ++n) {
        std::this_thread::sleep_for(std::chrono::milliseconds(interval_ms));
        process_.expect_still_the_same();
        samples_.push_back(sample());
    }
    result_.samples = samples_wanted;
    result_.interval_ms = interval_ms;
    result_.locks = find_loader_locks(process_, objects_, glibc_minor_);
    bool stuck = false;
    for (const auto& [tid, thread] : samples_.back()) {
        const std::uint64_t address = steady_wait(tid);
        if (address == 0 || result_.locks.at(address) == nullptr) continue;
        stuck = stuck || never_ran(tid);
        if (follow(tid)) break;
    }
    result_.seen = !result_.cycle.empty();
    if (!result_.seen) note_own_lock();
    if (!result_.seen && stuck)
        result_.suspicion =
            "a thread has waited for a loader lock all the time, but who keeps it from going on could not be shown";
    if (result_.seen || stuck) describe_threads();
    return result_;
}

}  // namespace

Deadlock look_for_deadlock(const Process& process, const std::vector<Mapping>& mappings, const Objects& objects,
                           unsigned glibc_minor) {
    return Search(process, mappings, objects, glibc_minor).run();
}

}  // namespace unknot::cli
