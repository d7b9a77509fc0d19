// SPDX-License-Identifier: Apache-2.0
// A server's heap: every thread replaces random blocks in a set of its own, and now and then swaps its set with
// another thread's, so that blocks are freed by threads that did not allocate them.
//   larson THREADS OPERATIONS_PER_THREAD
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "tests/bench/clocks.h"

namespace {

using namespace unknot::bench;

constexpr std::size_t blocks_per_set = 1000;
constexpr int operations_per_turn = 5000;

using Set = std::array<void*, blocks_per_set>;

std::atomic<Set*> swap_place{nullptr};

void work(std::uint64_t seed, int operations) {
    Numbers numbers(seed);
    Set* set = new Set{};
    for (int done = 0; done < operations; ++done) {
        void*& block = (*set)[numbers.below(blocks_per_set)];
        std::free(block);
        block = std::malloc(16 + numbers.below(1008));
        *static_cast<char*>(block) = 1;
        if (done % operations_per_turn == operations_per_turn - 1) {
            Set* other = swap_place.exchange(set, std::memory_order_acq_rel);
            set = other != nullptr ? other : new Set{};
        }
    }
    for (void* block : *set) std::free(block);
    delete set;
}

}  // namespace

int main(int argc, char** argv) {
    const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
    const int operations = argc > 2 ? std::atoi(argv[2]) : 1'000'000;
    const std::int64_t wall = wall_ns();
    const std::int64_t cpu = process_cpu_ns();
    std::vector<std::thread> all;
    for (int i = 0; i < threads; ++i) all.emplace_back(work, static_cast<std::uint64_t>(i) + 1, operations);
    for (std::thread& thread : all) thread.join();
    const double total = static_cast<double>(threads) * operations;
    std::printf("cpu_ns=%.3f wall_ns=%.3f\n", static_cast<double>(process_cpu_ns() - cpu) / total,
                static_cast<double>(wall_ns() - wall) / total);
}
