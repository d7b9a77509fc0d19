// SPDX-License-Identifier: Apache-2.0
// The counters of all processes of one program in one unit or container, added up so that they outlive the processes.
// What a process counts between the last round and its end is not seen.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/watch/host.h"

namespace unknot::cli {

struct Group {
    std::string scope;  // unit or container; empty: neither
    std::string program;
    pid_t pid = 0;  // 0: all of them together
    auto operator<=>(const Group&) const = default;
};

enum class RescueResult { moves, dead, refused };

struct Sums {
    std::vector<std::uint64_t> counters;  // by the index of the counter; empty: no process has had the shim
    std::uint64_t deadlocks = 0;
    std::map<RescueResult, std::uint64_t> rescues;
    Watched::Clock::time_point last_seen;
};

class Totals {
  public:
    explicit Totals(bool per_process) : per_process_(per_process) {}
    Group group_of(const Examination& found) const;
    // After each round. Groups without a process are kept for an hour, so that a host of short-lived containers does
    // not fill the memory; with a group for each process they end with it.
    void add(std::map<pid_t, Watched>& processes);
    void count_deadlock(const Examination& found) { ++sums_[group_of(found)].deadlocks; }
    void count_rescue(const Examination& found, RescueResult result) { ++sums_[group_of(found)].rescues[result]; }
    const std::map<Group, Sums>& sums() const { return sums_; }

  private:
    bool per_process_;
    std::map<Group, Sums> sums_;
};

}  // namespace unknot::cli
