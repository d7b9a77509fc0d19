// SPDX-License-Identifier: Apache-2.0
// Which of the dead processes is rescued when: one at a time, not more often than asked, each deadlock once.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string>

#include "cli/mend/rescue.h"
#include "cli/watch/totals.h"

namespace unknot::cli {

struct RescueTried {
    RescueResult result = RescueResult::refused;
    bool was_over = false;  // it was not dead any more: nothing was done, and it is no result
    std::string account;    // what was done, or why nothing was; one line
};

class Rescues {
  public:
    explicit Rescues(std::chrono::duration<double> least_interval) : least_interval_(least_interval) {}
    void add(pid_t pid) { waiting_.push_back(pid); }
    void leave_out(pid_t pid);
    // The process whose turn it is; nullopt: nobody waits, or the last rescue was not long enough ago.
    std::optional<pid_t> next();

  private:
    std::chrono::duration<double> least_interval_;
    std::deque<pid_t> waiting_;
    std::optional<std::chrono::steady_clock::time_point> last_;
};

RescueTried try_rescue(pid_t pid);

}  // namespace unknot::cli
