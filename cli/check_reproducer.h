// SPDX-License-Identifier: Apache-2.0
// What `unknot check` starts itself again for: the deadlock, small, in a process that may or may not have the shim. It
// reports in memory that it shares with the process that watches it.
#pragma once

#include <atomic>
#include <cstdint>

#include "policy/stats_page.h"

namespace unknot::cli {

enum class Reproduction : std::uint8_t {
    two_locks,         // one thread allocates in walks, another makes the heap grow
    fork_beside_walk,  // the child of a fork walks, while a thread of the parent sits in a walk
};

struct SharedProgress {
    std::atomic<std::uint64_t> walks, growths;  // watched from outside: standing still is how a hang is told
    std::atomic<bool> out_of_memory;
    StatsPage page;  // the shim's own, copied at the end; no magic: there is no shim
};

// argv of such a process: the command, this word, "locks" or "fork", the number of the memory's descriptor.
inline constexpr char reproduce_word[] = "reproduce-for-check";

// From the third word on. Returns the exit code.
int reproduce(char** arguments);

}  // namespace unknot::cli
