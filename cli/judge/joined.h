// SPDX-License-Identifier: Apache-2.0
// Whose end pthread_join waits for. It waits for the word that the kernel clears when that thread ends: the thread's id
// itself (nptl/pthread_join_common.c, seen up to glibc 2.41), or a state beside it in its struct pthread (seen
// in 2.43).
#pragma once

#include <optional>

#include "cli/judge/samples.h"
#include "cli/read/objects.h"

namespace unknot::cli {

// The thread whose struct pthread the address lies in; 0: none of these threads has it there.
pid_t thread_around(const Process& process, const Objects& objects, const Snapshot& threads, std::uint64_t address);

// 0: it waits for something else.
pid_t joined_by(const Process& process, const Objects& objects, const Snapshot& threads, const ThreadState& waiter);

}  // namespace unknot::cli
