// SPDX-License-Identifier: Apache-2.0
// The statistics page of this process. Counting is one relaxed add, on slow paths only.
#pragma once

#include <atomic>

#include "policy/stats_page.h"
#include "shim/system/platform.h"

namespace unknot {

extern "C" StatsPage unknot_stats;

// Relaxed everywhere: a counter orders nothing, and its readers (another process) accept any recent value.
inline void count(std::uint64_t& counter, std::uint64_t by = 1) {
    std::atomic_ref(counter).fetch_add(by, std::memory_order_relaxed);
}
// By the owner of the loader's write lock, so by one thread at a time: a locked instruction would be a third of a
// diverted pair's time. Whoever counts the same under the load lock alone, at the same instant, may go uncounted.
inline void count_as_owner(std::uint64_t& counter) {
    add_one(counter);
}
inline void set(std::uint64_t& gauge, std::uint64_t value) {
    std::atomic_ref(gauge).store(value, std::memory_order_relaxed);
}
inline std::uint64_t value_of(std::uint64_t& counter) {
    return std::atomic_ref(counter).load(std::memory_order_relaxed);
}
inline void set_flag(StatsPage& page, StatsFlag flag) {
    std::atomic_ref(page.flags).fetch_or(static_cast<std::uint32_t>(flag), std::memory_order_relaxed);
}

}  // namespace unknot
