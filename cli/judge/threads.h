// SPDX-License-Identifier: Apache-2.0
// Who waits for whom: the threads of a process as a wait-for graph, seen several times, and what in it can never end.
#pragma once

#include <string>
#include <vector>

#include "cli/judge/loader_locks.h"
#include "cli/read/stack.h"

namespace unknot::cli {

enum class OwnerSource {
    recorded,     // the lock's own owner word
    joined,       // pthread_join: the thread whose end it waits for (joined.h)
    inferred,     // a spin lock records no owner: the thread whose stack is inside the allocator
    itself,       // the waiter owns it, and cannot take it twice
    nobody,       // a condition variable, a semaphore, a plain futex: whoever brings it
    absent,       // the recorded owner is no thread of this process (forked in the middle of a walk)
    interrupted,  // none is recorded, and the waiter's own stack shows it taking or leaving that lock, below a signal
};

// One step of the cycle: this thread waits for a lock that the next step's thread holds. Where nobody can be named who
// holds it, the steps end there: a cycle of one, or one that closes through something that a waiting thread must bring.
struct CycleStep {
    pid_t tid = 0;
    std::string thread_name;
    std::string waits_for;
    pid_t held_by = 0;  // 0: absent
    OwnerSource source = OwnerSource::recorded;
    std::int32_t recorded_owner = 0;  // the lock's owner word, if it has one
    std::string evidence;             // for an inferred owner: the frame it rests on
    bool through_loader = false;      // what it waits for is a loader lock
    bool shim_cuts = false;           // the shim would have kept it from waiting: it allocates, or unwinds
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
    std::string suspicion;    // nobody moves who should, but that nobody will could not be shown
};

// `allocator`: file name of the object whose malloc is called.
Deadlock look_for_deadlock(const Process& process, const std::vector<Mapping>& mappings, const Objects& objects,
                           unsigned glibc_minor, const std::string& allocator);

}  // namespace unknot::cli
