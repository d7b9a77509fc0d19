// SPDX-License-Identifier: Apache-2.0
// A timer that interrupts the workers, and a handler that allocates where that is allowed: inside a walk, from the
// arena.
#pragma once

#include <cstdint>

namespace operations {

void start_signals();
std::uint64_t signals_handled();

// Gives a signal some time. To be called inside a walk, between two operations: what the handler allocates meanwhile
// comes from the arena.
void let_handler_allocate();

}  // namespace operations
