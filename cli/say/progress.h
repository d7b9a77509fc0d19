// SPDX-License-Identifier: Apache-2.0
// How far a long look at many things is: one line of a terminal on stderr, from the second second on. Elsewhere nothing
// is said.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>

namespace unknot::cli {

class Progress {
  public:
    Progress(std::size_t all, std::string what);
    ~Progress();  // takes the line away
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    void one_more();  // from any thread

  private:
    using Clock = std::chrono::steady_clock;
    std::mutex own_;
    std::size_t all_, done_ = 0;
    std::string what_;
    Clock::time_point last_ = Clock::now();
    bool wanted_, shown_ = false;
};

}  // namespace unknot::cli
