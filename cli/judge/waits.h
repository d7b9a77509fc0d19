// SPDX-License-Identifier: Apache-2.0
// What one thread waits for, as far as the kernel and the words of a mutex tell.
#pragma once

#include <cstdint>

#include "cli/judge/loader_locks.h"
#include "cli/read/inspect_proc.h"

namespace unknot::cli {

// The futex that it waits for; 0: it waits for none.
std::uint64_t waited_for(const ThreadState& thread);

// Without a timeout.
bool waits_for_ever(const ThreadState& thread);

// As a mutex's waiter does: until it is no longer "owned and waited for".
bool waits_for_mutex(const ThreadState& thread);

// A mutex has this shape while it is held; its owner has still to be looked for among the threads.
bool is_held_mutex(const MutexWords& words);

// For a mutex that it owns, of a kind that its owner cannot take twice.
bool waits_for_itself(const Process& process, const ThreadState& thread);

}  // namespace unknot::cli
