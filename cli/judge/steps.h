// SPDX-License-Identifier: Apache-2.0
// What one waiting thread waits for, and who holds it.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "cli/judge/loader_locks.h"
#include "cli/judge/samples.h"
#include "cli/judge/threads.h"
#include "cli/read/stack.h"

namespace unknot::cli {

class Steps {
  public:
    // `allocator`: file name of the object whose malloc is called.
    Steps(const Process& process, const std::vector<Mapping>& mappings, const Objects& objects, const Samples& samples,
          const LoaderLocks& locks, std::string allocator);

    std::string lock_name(std::uint64_t address) const;
    const Stack& stack_of(pid_t tid);
    CycleStep step_of(pid_t tid, std::uint64_t address);

  private:
    std::optional<std::int32_t> recorded_owner(std::uint64_t address) const;
    void look_at_owner(CycleStep& step, std::int32_t owner);
    bool look_for_abandoned(CycleStep& step, std::uint64_t address);
    bool look_for_joined(CycleStep& step);
    pid_t inferred_owner(pid_t waiter, std::uint64_t address, std::string& evidence);
    void look_for_interruption(CycleStep& step);
    bool look_for_reentry(CycleStep& step);
    bool shim_cuts(const CycleStep& step, std::uint64_t address);
    bool is_inside_allocator(const Frame& frame) const;

    const Process& process_;
    const std::vector<Mapping>& mappings_;
    const Objects& objects_;
    const Samples& samples_;
    const LoaderLocks& locks_;
    std::string allocator_;
    std::map<pid_t, Stack> stacks_;
    std::optional<StackReader> reader_;
};

}  // namespace unknot::cli
