// SPDX-License-Identifier: Apache-2.0
// How many throws, or traces from 512 call sites, a second, by number of threads.
//   unwinding_threads throw|unw_backtrace|_Unwind_Backtrace MS THREADS...
// Prints, of all threads together, after each other in one process and each for so long: at_1=... at_2=...
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/bench/call_sites.h"
#include "tests/bench/clocks.h"
#include "tests/bench/unwinding.h"

namespace {

using namespace unknot::bench;

void round_the_sites(Work work) {
    for (const auto call : call_from) call(work);
}

double per_second(Work work, int threads, std::int64_t ms) {
    std::atomic<int> waiting{0};
    std::atomic<bool> begun{false};
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> rounds{0};
    std::vector<std::thread> all;
    for (int i = 0; i < threads; ++i) {
        all.emplace_back([&] {
            round_the_sites(work);  // what is bound and cached by the first is not counted
            waiting.fetch_add(1);
            while (!begun.load()) std::this_thread::yield();
            std::uint64_t done = 0;
            do {
                round_the_sites(work);
                ++done;
            } while (!over.load(std::memory_order_relaxed));
            rounds.fetch_add(done);
        });
    }
    while (waiting.load() < threads) std::this_thread::yield();
    const std::int64_t start = wall_ns();
    begun.store(true);
    const timespec length{ms / 1000, ms % 1000 * 1'000'000};
    nanosleep(&length, nullptr);
    over.store(true);
    for (std::thread& thread : all) thread.join();
    return static_cast<double>(rounds.load() * call_sites) * 1e9 / static_cast<double>(wall_ns() - start);
}

Work work_named(const char* name) {
    if (std::strcmp(name, "throw") == 0) return throw_and_catch;
    if (!find_libunwind()) {
        std::fprintf(stderr, "unwinding_threads: no libunwind.so.8; nothing was measured\n");
        std::exit(1);
    }
    if (std::strcmp(name, "unw_backtrace") == 0) return quick_trace;
    if (std::strcmp(name, "_Unwind_Backtrace") == 0) return stepped_trace;
    std::fprintf(stderr, "unwinding_threads: %s is no work; nothing was measured\n", name);
    std::exit(2);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::fprintf(stderr, "usage: unwinding_threads WORK MS THREADS...; nothing was measured\n");
        return 2;
    }
    const Work work = work_named(argv[1]);
    for (int i = 3; i < argc; ++i) {
        std::printf("at_%s=%.0f ", argv[i], per_second(work, std::atoi(argv[i]), std::atoll(argv[2])));
    }
    std::printf("\n");
}
