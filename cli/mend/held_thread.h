// SPDX-License-Identifier: Apache-2.0
// One thread, held still while this object lives. It is seized, not attached to: it gets no signal, its process is not
// stopped, and it runs on by itself when this program dies, at whatever point.
#pragma once

#include <chrono>
#include <cstdint>

#include "cli/read/callers.h"
#include "policy/mending.h"

namespace unknot::cli {

class HeldThread {
  public:
    // Throws Trouble: it has gone, may not be held, or does not stand still within `patience`.
    HeldThread(const Process& process, pid_t tid);
    ~HeldThread();
    HeldThread(const HeldThread&) = delete;
    HeldThread& operator=(const HeldThread&) = delete;

    Wait wait() const;            // the system call that it stands in
    std::int64_t result() const;  // of that call, as the kernel would answer now
    Registers registers() const;

    // It goes on with the caller's registers, as if a function had just returned `value` there. Throws Trouble; then
    // nothing was changed.
    void return_to(const Registers& caller, std::uint64_t value);
    // Lets it go; microseconds for which it stood.
    double release();

  private:
    using Clock = std::chrono::steady_clock;
    struct Words;  // the machine's registers as ptrace has them
    Words read_words() const;

    pid_t tid_ = 0;
    bool held_ = false;
    int signal_ = 0;  // that was being delivered when it was stopped; it gets it when it goes on
    Clock::time_point since_;
    double held_us_ = 0;
};

}  // namespace unknot::cli
