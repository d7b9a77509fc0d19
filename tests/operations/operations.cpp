// SPDX-License-Identifier: Apache-2.0
// The operation fuzzer: every door from several threads, mixed with walks, plug-ins that come and go, exceptions,
// forks, signals and a heap that grows. Threads come and go in generations, and a generation ends when all its threads
// have: two that wait for each other stop everything, and the silence shows it.
//   operations SEED SECONDS [THREADS] [standard|vendor] [FIRST_GENERATION]
// UNKNOT_OPERATIONS_WITHOUT leaves out what it names, separated by commas: sampling, locks, stretches, deep.
#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/doors/contexts.h"
#include "tests/operations/signals.h"
#include "tests/operations/worker.h"
#include "tests/process/system.h"

using namespace operations;

namespace {

constexpr std::size_t operations_each = 1500;
Slots slots;

void add(Tally& sum, const Tally& one) {
    sum.operations += one.operations;
    sum.walks += one.walks;
    sum.loads += one.loads;
    sum.throws += one.throws;
    sum.forks += one.forks;
    sum.grown += one.grown;
    sum.locked += one.locked;
    sum.stretches += one.stretches;
    sum.deep += one.deep;
}

// The first exception that passes through a frame of libc makes libc load libgcc_s, and where that frame is
// dl_iterate_phdr's, under the loader's write lock: in the wrong order, whatever is preloaded. So it happens here.
void warm_up() {
    if (!unknot::process::callbacks_may_throw) return;
    try {
        dl_iterate_phdr([](dl_phdr_info*, std::size_t, void*) -> int { throw 1; }, nullptr);
    } catch (int) {
    }
}

Tally run_generation(std::uint64_t seed, std::size_t threads, const Settings& settings) {
    std::vector<std::unique_ptr<Worker>> workers;
    std::vector<std::thread> running;
    for (std::size_t i = 0; i < threads; ++i) workers.push_back(std::make_unique<Worker>(slots, seed + i, settings));
    for (const auto& worker : workers) running.emplace_back([&] { worker->run(operations_each); });
    for (std::thread& thread : running) thread.join();
    Tally sum;
    for (const auto& worker : workers) add(sum, worker->tally());
    return sum;
}

using unknot::AllocatorKind;

// jemalloc's version; nullptr: another allocator.
const char* version_of_jemalloc() {
    using Control = int (*)(const char*, void*, std::size_t*, void*, std::size_t);
    const char* version = nullptr;
    std::size_t bytes = sizeof version;
    if (auto* control = reinterpret_cast<Control>(dlsym(RTLD_DEFAULT, "mallctl")))
        control("version", &version, &bytes, nullptr, 0);
    return version;
}

// A child that was forked beside a walk hangs in its first own one, unless the shim gives it the lock back. And the
// lock of tcmalloc_debug's queue of freed blocks may be owned for ever in a child, as may jemalloc's extent locks until
// 5.3 (seen with 5.2.1, without the shim and without its profiler). For arm64 the fuzzer has run under qemu-user only,
// which now and then fails a fork beside threads itself.
bool can_fork() {
    const char* jemalloc = version_of_jemalloc();
    if (jemalloc != nullptr && std::strcmp(jemalloc, "5.3") < 0) return false;
    if (!doors::is_protected()) return false;
    return unknot::process::locks_before_fork && doors::statistics()->allocator != AllocatorKind::tcmalloc_debug;
}

bool unwinds() {
    const unknot::StatsPage* page = doors::statistics();
    if (page == nullptr) return true;
    return page->allocator != AllocatorKind::glibc && page->allocator != AllocatorKind::mimalloc &&
           page->allocator != AllocatorKind::tcmalloc_minimal;
}

// A word of UNKNOT_OPERATIONS_WITHOUT that is none of its four ends the run.
bool is_with(std::string_view what) {
    const char* given = std::getenv("UNKNOT_OPERATIONS_WITHOUT");
    bool with = true;
    for (std::string_view rest = given != nullptr ? given : ""; !rest.empty();) {
        const std::string_view word = rest.substr(0, rest.find(','));
        rest.remove_prefix(word.size() < rest.size() ? word.size() + 1 : rest.size());
        with = with && word != what;
        if (word == "sampling" || word == "locks" || word == "stretches" || word == "deep") continue;
        std::fprintf(
            stderr,
            "UNKNOT_OPERATIONS_WITHOUT=%s: there is no %.*s among sampling, locks, stretches, deep; nothing was "
            "run\n",
            given, static_cast<int>(word.size()), word.data());
        std::exit(2);
    }
    return with;
}

bool over_libcs_allocator() {
    return doors::is_protected() && doors::statistics()->allocator == AllocatorKind::glibc;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: operations SEED SECONDS [THREADS] [standard|vendor] [FIRST_GENERATION]\n");
        return 2;
    }
    const std::uint64_t seed = std::strtoull(argv[1], nullptr, 10);
    const std::chrono::seconds duration(std::strtoll(argv[2], nullptr, 10));
    const std::size_t threads = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 4;
    const std::uint64_t first = argc > 5 ? std::strtoull(argv[5], nullptr, 10) : 0;
    const Settings settings{.vendor = argc > 4 && std::strcmp(argv[4], "vendor") == 0,
                            .signals = doors::is_protected(),
                            .unwinds = unwinds(),
                            .forks = can_fork(),
                            .locks = is_with("locks"),
                            .stretches = is_with("stretches"),
                            .deep = is_with("deep") && over_libcs_allocator()};
    warm_up();
    // A thread that makes one of these tables leaves a child that is forked meanwhile waiting for ever.
    doors::standard();
    doors::vendors();
    if (settings.locks) register_fork_handlers();
    if (settings.signals) start_signals(is_with("sampling"));
    const auto until = std::chrono::steady_clock::now() + duration;
    Tally sum;
    for (std::uint64_t generation = first; std::chrono::steady_clock::now() < until; ++generation) {
        add(sum, run_generation(seed * 1'000'003 + generation * threads, threads, settings));
        std::printf("generation %lu: %lu operations\n", generation, sum.operations);
        std::fflush(stdout);
    }
    std::printf(
        "operations %lu walks %lu loads %lu exceptions %lu forks %lu signals %lu grown %lu locked %lu stretches %lu "
        "deep %lu\n",
        sum.operations, sum.walks, sum.loads, sum.throws, sum.forks, signals_handled(), sum.grown, sum.locked,
        sum.stretches, sum.deep);
    return 0;
}
