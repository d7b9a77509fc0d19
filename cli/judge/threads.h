// SPDX-License-Identifier: Apache-2.0
// Who waits for whom: the threads of a process as a wait-for graph, seen several times, and the cycle in it that goes
// through a loader lock.
#pragma once

#include <string>
#include <vector>

#include "cli/judge/loader_locks.h"
#include "cli/read/stack.h"

namespace unknot::cli {

enum class OwnerSource {
    recorded,     // the lock's own owner word
    inferred,     // a spin lock records no owner: the thread whose stack is inside the allocator
    absent,       // the recorded owner is no thread of this process (forked in the middle of a walk)
    interrupted,  // none is recorded, and the waiter's own stack shows it taking or leaving that lock, below a signal
};

// One step of the cycle: this thread waits for a lock that the next step's thread holds.
struct CycleStep {
    pid_t tid = 0;
    std::string thread_name;
    std::string waits_for;
    pid_t held_by = 0;  // 0: absent
    OwnerSource source = OwnerSource::recorded;
    std::int32_t recorded_owner = 0;  // the lock's owner word, if it has one
    std::string evidence;             // for an inferred owner: the frame it rests on
    bool through_loader = false;      // what it waits for is a loader lock
    std::string callback;             // of the walk that this thread is in: who holds the loader lock while it waits
};

struct ThreadReport {
    ThreadState state;
    bool never_ran = false;  // between the first sample and the last
    std::string waiting;     // "waits for NAME" / "running" / "in system call 230"
    Stack stack;
};

struct Deadlock {
    bool seen = false;
    std::vector<CycleStep> cycle;
    std::vector<ThreadReport> threads;  // all of them, those of the cycle first
    LoaderLocks locks;
    int samples = 0;
    int interval_ms = 0;
    std::string cannot_tell;  // why a deadlock can be neither seen nor excluded; empty: it can
    std::string suspicion;    // a loader lock is held and waited for, but no cycle could be shown
    std::string own_lock;     // a thread waits for a mutex that it owns itself; no lock of the loader
};

Deadlock look_for_deadlock(const Process& process, const std::vector<Mapping>& mappings, const Objects& objects,
                           unsigned glibc_minor);

}  // namespace unknot::cli
