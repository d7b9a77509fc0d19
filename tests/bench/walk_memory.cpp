// SPDX-License-Identifier: Apache-2.0
// Memory in a storm of walks: as many dl_iterate_phdr walks as go, each allocating and freeing 30 blocks of 300 kB and
// 500 of 16 to 4000 bytes under the loader lock, two in a thousand blocks kept for 1000 walks.
//   walk_memory SECONDS SAMPLES_PER_SECOND
// Prints CSV: seconds, walks so far, resident kB, and from the shim's statistics (0 without it) committed and reserved
// kB.
#include <dlfcn.h>
#include <link.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <thread>

#include "policy/stats_page.h"
#include "tests/bench/clocks.h"

namespace {

using namespace unknot::bench;

constexpr std::size_t large_blocks = 30;
constexpr std::size_t small_blocks = 500;
constexpr std::uint64_t kept_for_walks = 1000;

struct Kept {
    void* block;
    std::uint64_t until_walk;
};

class Walker {
  public:
    void walk() {
        dl_iterate_phdr(
            [](dl_phdr_info*, std::size_t, void* self) {
                static_cast<Walker*>(self)->allocate_and_free();
                return 1;
            },
            this);
        walks.fetch_add(1, std::memory_order_relaxed);
    }

    std::atomic<std::uint64_t> walks{0};

  private:
    void allocate_and_free() {
        std::array<void*, large_blocks + small_blocks> blocks;
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            const std::size_t size = i < large_blocks ? 300'000 : 16 + numbers_.below(3985);
            blocks[i] = std::malloc(size);
            *static_cast<char*>(blocks[i]) = 1;
        }
        const std::uint64_t now = walks.load(std::memory_order_relaxed);
        for (void* block : blocks) {
            if (numbers_.below(1000) < 2) {
                kept_.push_back({block, now + kept_for_walks});
            } else {
                std::free(block);
            }
        }
        for (; !kept_.empty() && kept_.front().until_walk <= now; kept_.pop_front()) std::free(kept_.front().block);
    }

    Numbers numbers_{1};
    std::deque<Kept> kept_;
};

long resident_kb() {
    long pages = 0;
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    if (file != nullptr && std::fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
    if (file != nullptr) std::fclose(file);
    return pages * 4;
}

}  // namespace

int main(int argc, char** argv) {
    const std::int64_t seconds = argc > 1 ? std::atoll(argv[1]) : 60;
    const std::int64_t per_second = argc > 2 ? std::atoll(argv[2]) : 2;
    const auto* stats = static_cast<const unknot::StatsPage*>(dlsym(RTLD_DEFAULT, "unknot_stats"));
    static Walker walker;
    std::atomic<bool> over{false};
    std::thread storm([&] {
        while (!over.load(std::memory_order_relaxed)) walker.walk();
    });
    std::setvbuf(stdout, nullptr, _IOLBF, 0);  // somebody may follow it
    const std::int64_t start = wall_ns();
    std::printf("seconds,walks,resident_kb,committed_kb,reserved_kb\n");
    for (std::int64_t sample = 1; sample <= seconds * per_second; ++sample) {
        const std::int64_t due = start + sample * 1'000'000'000 / per_second;
        const timespec at{due / 1'000'000'000, due % 1'000'000'000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
        std::printf("%.2f,%llu,%ld,%llu,%llu\n", static_cast<double>(wall_ns() - start) / 1e9,
                    static_cast<unsigned long long>(walker.walks.load()), resident_kb(),
                    static_cast<unsigned long long>(stats != nullptr ? stats->arena_committed / 1024 : 0),
                    static_cast<unsigned long long>(stats != nullptr ? stats->arena_reserved / 1024 : 0));
    }
    over.store(true);
    storm.join();
}
