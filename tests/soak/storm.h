// SPDX-License-Identifier: Apache-2.0
// What the storms share: a run of so many seconds, and one line a second that tells the driver how far they are. Every
// counter in it has to grow for as long as the storm runs; a name that ends in _us is a latency and may do as it likes.
#pragma once

#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/bench/clocks.h"

namespace soak {

// One per thread, counted up by it alone.
struct Counter {
    const char* name;
    std::atomic<std::uint64_t> count = 0;
    void one_more() { count.fetch_add(1, std::memory_order_relaxed); }
};

// How long single calls took. The one who measures adds, the one who reports takes all of a second away.
class Latencies {
  public:
    static constexpr std::size_t most = 1 << 16;
    Latencies() {
        taken_.reserve(most);
        collected_.reserve(most);
    }
    void add(std::int64_t ns) {
        const std::lock_guard lock(mutex_);
        if (taken_.size() < most) taken_.push_back(ns);
    }
    // Prints nothing where nothing was measured.
    void print() {
        {
            const std::lock_guard lock(mutex_);
            collected_.swap(taken_);
        }
        if (collected_.empty()) return;
        std::sort(collected_.begin(), collected_.end());
        std::printf(" p99_us=%.1f slowest_us=%.1f", us(collected_[collected_.size() * 99 / 100]),
                    us(collected_.back()));
        collected_.clear();
    }

  private:
    static double us(std::int64_t ns) { return static_cast<double>(ns) / 1000; }
    std::mutex mutex_;
    std::vector<std::int64_t> taken_, collected_;
};

// Threads that do `turn` again and again until the seconds are over, with a line of progress every second.
class Storm {
  public:
    explicit Storm(const char* seconds) : seconds_(std::atoll(seconds)) {}

    template <class Turn>
    void thread(const char* name, Turn turn) {
        Counter& counter = *counters_.emplace_back(new Counter{name});
        threads_.emplace_back([this, &counter, turn]() mutable {
            for (; !over_.load(std::memory_order_relaxed); counter.one_more()) turn();
        });
    }

    Latencies latencies;

    void run() {
        const std::int64_t start = unknot::bench::wall_ns();
        for (std::int64_t second = 1; second <= seconds_; ++second) {
            const std::int64_t due = start + second * 1'000'000'000;
            const timespec at{due / 1'000'000'000, due % 1'000'000'000};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
            print();
        }
        over_ = true;
        for (std::thread& thread : threads_) thread.join();
        print();
    }

  private:
    void print() {
        std::printf("progress");
        for (const Counter* counter : counters_)
            std::printf(" %s=%lu", counter->name, static_cast<unsigned long>(counter->count.load()));
        latencies.print();
        std::printf("\n");
        std::fflush(stdout);
    }

    std::int64_t seconds_;
    std::atomic<bool> over_ = false;
    std::vector<Counter*> counters_;  // as long as the process
    std::vector<std::thread> threads_;
};

}  // namespace soak
