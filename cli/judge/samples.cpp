// SPDX-License-Identifier: Apache-2.0
#include "cli/judge/samples.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#include "cli/judge/waits.h"

namespace unknot::cli {

Snapshot snapshot_of(std::vector<ThreadState> threads) {
    Snapshot snapshot;
    for (ThreadState& thread : threads) {
        const pid_t tid = thread.tid;
        snapshot.emplace(tid, std::move(thread));
    }
    return snapshot;
}

pid_t thread_with_inner(const Snapshot& threads, std::int32_t inner) {
    for (const auto& [tid, thread] : threads)
        if (thread.inner_tid == inner) return tid;
    return 0;
}

void Samples::add(std::vector<ThreadState> threads) {
    all_.push_back(snapshot_of(std::move(threads)));
}

// A spin lock's waiter wakes up now and then (its futex wait has a timeout), so samples that met it awake do not count,
// as long as two met it asleep.
std::uint64_t Samples::steady_wait(pid_t tid) const {
    std::uint64_t address = 0;
    int met = 0;
    for (const Snapshot& snapshot : all_) {
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

bool Samples::never_ran(pid_t tid) const {
    const auto first = all_.front().find(tid), last = all_.back().find(tid);
    if (first == all_.front().end() || last == all_.back().end()) return false;
    return first->second.switches == last->second.switches && first->second.cpu_ticks == last->second.cpu_ticks;
}

bool Samples::waits_for_a_thread(pid_t tid) const {
    const auto thread = last().find(tid);
    if (thread == last().end() || steady_wait(tid) == 0 || !never_ran(tid)) return false;
    return waits_for_ever(thread->second);
}

const ThreadState* Samples::asleep(pid_t tid) const {
    for (auto snapshot = all_.rbegin(); snapshot != all_.rend(); ++snapshot) {
        const auto thread = snapshot->find(tid);
        if (thread != snapshot->end() && thread->second.in_syscall) return &thread->second;
    }
    return nullptr;
}

}  // namespace unknot::cli
