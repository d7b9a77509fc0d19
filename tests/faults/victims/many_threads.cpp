// SPDX-License-Identifier: Apache-2.0
// many_threads COUNT: that many threads alive at once, each of which allocates and frees once inside a walk and once
// outside, and then ends. Twice. What they took must be back after each round, in the arena and in the process.
// Exits with 77 where the system refuses so many threads.
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "policy/stats_page.h"

namespace {

constexpr std::size_t stack_bytes = 64 << 10;

pthread_barrier_t all_wait;
pthread_barrier_t all_go;
const unknot::StatsPage* page = nullptr;

void expect(bool holds, const char* claim) {
    if (holds) return;
    dprintf(2, "does not hold: %s\n", claim);
    _exit(1);
}

void* live(void*) {
    void* ordinary = std::malloc(100);
    void* diverted = nullptr;
    void* both[] = {ordinary, nullptr};
    dl_iterate_phdr(
        [](dl_phdr_info*, std::size_t, void* data) {
            auto** blocks = static_cast<void**>(data);
            std::free(blocks[0]);
            blocks[1] = std::malloc(200);
            return 1;
        },
        both);
    diverted = both[1];
    pthread_barrier_wait(&all_wait);
    pthread_barrier_wait(&all_go);
    std::free(diverted);
    return nullptr;
}

long resident_pages() {
    long size = 0;
    long resident = 0;
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    expect(file != nullptr && std::fscanf(file, "%ld %ld", &size, &resident) == 2, "/proc/self/statm can be read");
    std::fclose(file);
    return resident;
}

void run_round(long count, pthread_t* threads) {
    const std::size_t bytes = static_cast<std::size_t>(count) * stack_bytes;
    void* stacks = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    expect(stacks != MAP_FAILED, "there is address space for the stacks");
    pthread_barrier_init(&all_wait, nullptr, static_cast<unsigned>(count) + 1);
    pthread_barrier_init(&all_go, nullptr, static_cast<unsigned>(count) + 1);
    for (long i = 0; i < count; ++i) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstack(&attributes, static_cast<char*>(stacks) + i * static_cast<long>(stack_bytes),
                              stack_bytes);
        if (pthread_create(&threads[i], &attributes, live, nullptr) != 0) {
            dprintf(2, "the system refuses thread %ld\n", i);
            _exit(77);
        }
        pthread_attr_destroy(&attributes);
    }
    pthread_barrier_wait(&all_wait);
    expect(page->arena_live_blocks >= static_cast<std::uint64_t>(count), "every thread's block is in the arena");
    pthread_barrier_wait(&all_go);
    for (long i = 0; i < count; ++i) pthread_join(threads[i], nullptr);
    munmap(stacks, bytes);
}

}  // namespace

int main(int, char** argv) {
    const long count = std::atol(argv[1]);
    page = static_cast<const unknot::StatsPage*>(dlsym(RTLD_DEFAULT, "unknot_stats"));
    expect(page != nullptr && page->mode == unknot::Mode::protect, "the shim protects");
    auto* threads = static_cast<pthread_t*>(std::calloc(static_cast<std::size_t>(count), sizeof(pthread_t)));
    const std::uint64_t diverted = page->diverted;
    const std::uint64_t deferred = page->deferred;
    // Until glibc 2.33 the first dlsym keeps a block of its own.
    const std::uint64_t live = page->arena_live_blocks;
    long after[2] = {};
    for (long& resident : after) {
        run_round(count, threads);
        resident = resident_pages();
        expect(page->arena_live_blocks == live, "no block is left in the arena");
        expect(page->drained == page->deferred, "every free has been made");
        expect(page->arena_committed <= 4 << 20, "the arena's memory is back");
        dprintf(1, "diverted %lu deferred %lu committed %lu peak %lu resident %ld\n", page->diverted, page->deferred,
                page->arena_committed, page->arena_peak, resident);
    }
    const std::uint64_t due = 2 * static_cast<std::uint64_t>(count);
    expect(page->diverted - diverted == due && page->deferred - deferred == due,
           "each thread has diverted and deferred once a round");
    // Pages, 4 MiB: whatever a round leaves behind would be left behind again by the next.
    expect(after[1] - after[0] < 1024, "a second round needs no more memory than the first");
    std::free(threads);
}
