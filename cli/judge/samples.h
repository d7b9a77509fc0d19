// SPDX-License-Identifier: Apache-2.0
// The threads of a process, seen several times. A waiter that has not been on a processor in between (its count of
// context switches stands still) proves that what it waits for was never handed on, because handing on wakes it.
#pragma once

#include <map>
#include <vector>

#include "cli/read/inspect_proc.h"

namespace unknot::cli {

using Snapshot = std::map<pid_t, ThreadState>;
Snapshot snapshot_of(std::vector<ThreadState> threads);
pid_t thread_with_inner(const Snapshot& threads, std::int32_t inner);  // 0: there is none

class Samples {
  public:
    void add(std::vector<ThreadState> threads);
    const Snapshot& last() const { return all_.back(); }
    int count() const { return static_cast<int>(all_.size()); }

    // The futex that it waited for in every sample; 0: it moves, or waits for something else.
    std::uint64_t steady_wait(pid_t tid) const;
    bool never_ran(pid_t tid) const;
    // Nobody outside the process, no clock and no file can end its wait.
    bool waits_for_a_thread(pid_t tid) const;
    pid_t thread_with_inner(std::int32_t inner) const { return cli::thread_with_inner(last(), inner); }
    const ThreadState* asleep(pid_t tid) const;  // as the latest sample that met it asleep saw it; or nullptr

  private:
    std::vector<Snapshot> all_;
};

}  // namespace unknot::cli
