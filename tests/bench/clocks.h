// SPDX-License-Identifier: Apache-2.0
// The clocks of the benchmarks, in nanoseconds. CPU clocks where a figure shall not count the time that other processes
// took from us; the wall clock where waiting is what is measured.
#pragma once

#include <time.h>

#include <cstdint>

namespace unknot::bench {

inline std::int64_t read_clock(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

inline std::int64_t wall_ns() {
    return read_clock(CLOCK_MONOTONIC);
}
inline std::int64_t process_cpu_ns() {
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}
inline std::int64_t thread_cpu_ns() {
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

// xorshift64: the loads need cheap numbers that are the same in every run.
class Numbers {
  public:
    explicit Numbers(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
    std::uint64_t below(std::uint64_t limit) {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_ % limit;
    }

  private:
    std::uint64_t state_;
};

}  // namespace unknot::bench
