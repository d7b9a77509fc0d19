// SPDX-License-Identifier: Apache-2.0
// One thread sits in a dl_iterate_phdr callback, as a profiler does that parses symbols; it allocates nothing there, so
// nothing deadlocks. How long does the slowest malloc of the other threads take meanwhile?
//   stall HOLD_MS
// Prints the slowest malloc, in microseconds, of the thread that grows the heap from 512 call sites and of the one that
// does everyday work; "free" is the same before anybody holds the lock: what the scheduler and the allocator's own lock
// do to them anyway.
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

enum class Phase { before, free, held, over };

std::atomic<Phase> phase{Phase::before};
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
            phase.store(Phase::held);
            const timespec whole{static_cast<time_t>(hold_ns / 1'000'000'000), hold_ns % 1'000'000'000};
            while (wall_ns() < end) nanosleep(&whole, nullptr);
            return 1;
        },
        nullptr);
    phase.store(Phase::over);
}

std::int64_t slowest_growth(Phase during) {
    growth::Heap heap(most_grown_blocks);
    std::int64_t slowest = 0;
    while (phase.load() < during) std::this_thread::yield();
    for (std::size_t i = 0; i < most_grown_blocks && phase.load() == during; ++i) {
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

std::int64_t slowest_everyday(Numbers& numbers, Phase during) {
    std::int64_t slowest = 0;
    while (phase.load() == during) slowest = std::max(slowest, everyday_turn(numbers));
    return slowest;
}

double us(std::int64_t ns) {
    return static_cast<double>(ns) / 1000;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1) hold_ns = std::atoll(argv[1]) * 1'000'000;
    std::int64_t free_growth = 0, held_growth = 0, free_everyday = 0, held_everyday = 0;
    // All threads before the lock is held: making one allocates.
    std::thread grower([&] {
        free_growth = slowest_growth(Phase::free);
        held_growth = slowest_growth(Phase::held);
    });
    std::thread worker([&] {
        Numbers numbers(1);
        while (phase.load() == Phase::before) std::this_thread::yield();
        free_everyday = slowest_everyday(numbers, Phase::free);
        held_everyday = slowest_everyday(numbers, Phase::held);
    });
    phase.store(Phase::free);
    const std::int64_t quarter_ns = hold_ns / 4;
    const timespec quarter{static_cast<time_t>(quarter_ns / 1'000'000'000), quarter_ns % 1'000'000'000};
    nanosleep(&quarter, nullptr);
    hold_loader_lock();
    grower.join();
    worker.join();
    std::printf("growth_us=%.1f everyday_us=%.1f free_growth_us=%.1f free_everyday_us=%.1f\n", us(held_growth),
                us(held_everyday), us(free_growth), us(free_everyday));
}
