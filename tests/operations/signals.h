// SPDX-License-Identifier: Apache-2.0
// A timer that interrupts the workers, and a handler that allocates where that is allowed: inside a walk, from the
// arena.
#pragma once

#include <cstdint>

namespace operations {

// `samples`: the handler takes a backtrace of what it has interrupted, the loader and the shim included, as sampling
// profilers do.
void start_signals(bool samples);
std::uint64_t signals_handled();

// Gives a signal some time. To be called inside a walk, between two operations: what the handler allocates meanwhile
// comes from the arena.
void let_handler_allocate();

}  // namespace operations
