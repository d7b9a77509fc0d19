// SPDX-License-Identifier: Apache-2.0
// One thread sits in a dl_iterate_phdr callback, as a profiler does that parses symbols; it allocates nothing there, so
// nothing deadlocks. How long does the slowest malloc of the other threads take meanwhile?
//   stall HOLD_MS
// Prints the slowest malloc, in microseconds: of the thread that grows the heap from 512 call sites, of the one that
// does everyday work, and of the latter alone before anybody holds the lock (what the scheduler does to it anyway).
#include <link.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "examples/phdr_deadlock/growth.h"
#include "tests/bench/clocks.h"

namespace {

using namespace unknot::bench;

constexpr std::size_t most_grown_blocks = 8192;  // 16 GiB of address space, never touched

std::atomic<bool> holding{false};
std::atomic<bool> held{false};
std::int64_t hold_ns = 1'000'000'000;

template <class Function>
std::int64_t time_of(Function&& function) {
    const std::int64_t start = wall_ns();
    function();
    return wall_ns() - start;
}

void hold_loader_lock() {
    dl_iterate_phdr(
        [](dl_phdr_info*, std::size_t, void*) {
            const std::int64_t end = wall_ns() + hold_ns;
            holding.store(true);
            const timespec whole{static_cast<time_t>(hold_ns / 1'000'000'000), hold_ns % 1'000'000'000};
            while (wall_ns() < end) nanosleep(&whole, nullptr);
            return 1;
        },
        nullptr);
    held.store(true);
}

std::int64_t slowest_growth() {
    growth::Heap heap(most_grown_blocks);
    std::int64_t slowest = 0;
    for (std::size_t i = 0; i < most_grown_blocks && !held.load(); ++i) {
        slowest = std::max(slowest, time_of([&] { heap.grow(); }));
    }
    return slowest;
}

// Sizes as programs have them: most from the thread's cache, some from the page heap. One turn, slowest malloc of it.
std::int64_t everyday_turn(Numbers& numbers) {
    std::int64_t slowest = 0;
    void* blocks[64];
    for (void*& block : blocks) {
        const std::size_t size = numbers.below(16) == 0 ? numbers.below(400'000) : 16 + numbers.below(1000);
        slowest = std::max(slowest, time_of([&] { block = std::malloc(size); }));
    }
    for (void* block : blocks) std::free(block);
    return slowest;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1) hold_ns = std::atoll(argv[1]) * 1'000'000;
    Numbers numbers(1);
    std::int64_t alone = 0, everyday = 0, grown = 0;
    for (const std::int64_t end = wall_ns() + hold_ns / 4; wall_ns() < end;) {
        alone = std::max(alone, everyday_turn(numbers));
    }
    std::thread holder(hold_loader_lock);
    while (!holding.load()) std::this_thread::yield();
    std::thread grower([&] { grown = slowest_growth(); });
    while (!held.load()) everyday = std::max(everyday, everyday_turn(numbers));
    grower.join();
    holder.join();
    std::printf("growth_us=%.1f everyday_us=%.1f alone_us=%.1f\n", static_cast<double>(grown) / 1000,
                static_cast<double>(everyday) / 1000, static_cast<double>(alone) / 1000);
}
