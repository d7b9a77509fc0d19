// SPDX-License-Identifier: Apache-2.0
// malloc+free in one thread while another does nothing but walk the loaded objects, or look symbols up. Quiet and
// stormy phases alternate in one process, so that their ratio is free of everything that differs between processes.
// A walk looks at all objects; first_object ends at the first, the shortest walk there is, as an unwinder's is at best.
//   beside_storm walk|first_object|dlsym|dladdr PHASES MS_PER_PHASE
// Prints medians: ns of CPU time per pair in the quiet and in the storm, ns per call of the storm with the pairs beside
// it.
#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/bench/clocks.h"

namespace {

using namespace unknot::bench;

enum class Storm { walk, first_object, dlsym, dladdr };

std::atomic<bool> storming{false};
std::atomic<bool> over{false};
// Written by the storm's thread at the end of each phase, read by main after `resting`.
std::atomic<bool> resting{true};
double ns_per_storm_call = 0;

void blow_once(Storm storm) {
    switch (storm) {
        case Storm::walk:
            dl_iterate_phdr([](dl_phdr_info*, std::size_t, void*) { return 0; }, nullptr);
            break;
        case Storm::first_object:
            dl_iterate_phdr([](dl_phdr_info*, std::size_t, void*) { return 1; }, nullptr);
            break;
        case Storm::dlsym: {
            void* volatile found = dlsym(RTLD_DEFAULT, "getpid");
            (void)found;
            break;
        }
        case Storm::dladdr: {
            Dl_info info;
            dladdr(reinterpret_cast<void*>(&std::strtol), &info);  // not malloc: its object differs by preload
            break;
        }
    }
}

void blow(Storm storm) {
    while (!over.load()) {
        if (!storming.load()) {
            std::this_thread::yield();
            continue;
        }
        resting.store(false);
        const std::int64_t start = thread_cpu_ns();
        std::int64_t calls = 0;
        for (; storming.load(std::memory_order_relaxed); ++calls) blow_once(storm);
        ns_per_storm_call = static_cast<double>(thread_cpu_ns() - start) / static_cast<double>(calls);
        resting.store(true);
    }
}

// ns per pair, in CPU time of this thread.
double pairs_for(std::int64_t ms) {
    const std::int64_t end = wall_ns() + ms * 1'000'000;
    const std::int64_t start = thread_cpu_ns();
    std::int64_t pairs = 0;
    do {
        for (int i = 0; i < 10'000; ++i) {
            void* volatile block = std::malloc(64);
            std::free(block);
        }
        pairs += 10'000;
    } while (wall_ns() < end);
    return static_cast<double>(thread_cpu_ns() - start) / static_cast<double>(pairs);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
    const char* name = argc > 1 ? argv[1] : "walk";
    const Storm storm = std::strcmp(name, "dlsym") == 0          ? Storm::dlsym
                        : std::strcmp(name, "dladdr") == 0       ? Storm::dladdr
                        : std::strcmp(name, "first_object") == 0 ? Storm::first_object
                                                                 : Storm::walk;
    const int phases = argc > 2 ? std::atoi(argv[2]) : 5;
    const int ms = argc > 3 ? std::atoi(argv[3]) : 100;
    std::thread thread(blow, storm);
    std::vector<double> quiet, stormy, calls;
    for (int phase = 0; phase < phases; ++phase) {
        quiet.push_back(pairs_for(ms));
        storming.store(true);
        while (resting.load()) std::this_thread::yield();
        stormy.push_back(pairs_for(ms));
        storming.store(false);
        while (!resting.load()) std::this_thread::yield();
        calls.push_back(ns_per_storm_call);
    }
    over.store(true);
    thread.join();
    std::printf("quiet_ns=%.3f storm_ns=%.3f call_ns=%.3f\n", median(quiet), median(stormy), median(calls));
}
