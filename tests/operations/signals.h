// SPDX-License-Identifier: Apache-2.0
// A timer that interrupts the workers, and a handler that allocates where that is allowed: inside a walk, from the
// arena.
#pragma once

#include <cstdint>
#include <ctime>

namespace operations {

// `samples`: the handler takes a backtrace of what it has interrupted, the loader and the shim included, as sampling
// profilers do.
void start_signals(bool samples);
std::uint64_t signals_handled();

// Interrupts the thread that makes it, five thousand times a second, where samples are taken: a signal to the process
// mostly interrupts a thread that waits.
class Sampled {
  public:
    Sampled();
    ~Sampled();
    Sampled(const Sampled&) = delete;
    Sampled& operator=(const Sampled&) = delete;

  private:
    timer_t timer_{};
    bool is_running_ = false;
};

// Gives a signal some time. To be called inside a walk, between two operations: what the handler allocates meanwhile
// comes from the arena.
void let_handler_allocate();

}  // namespace operations
