// SPDX-License-Identifier: Apache-2.0
// What one pair of calls costs when the allocator itself has next to nothing to do. The variants are preloads, so one
// process measures one of them and the driver interleaves processes.
#include <benchmark/benchmark.h>
#include <link.h>

#include <cstdlib>
#include <new>

namespace {

constexpr std::size_t block_bytes = 64;

void malloc_free(benchmark::State& state) {
    for ([[maybe_unused]] auto unused : state) {
        void* block = std::malloc(block_bytes);
        benchmark::DoNotOptimize(block);
        std::free(block);
    }
}
BENCHMARK(malloc_free);

void new_delete(benchmark::State& state) {
    for ([[maybe_unused]] auto unused : state) {
        void* block = ::operator new(block_bytes);
        benchmark::DoNotOptimize(block);
        ::operator delete(block);
    }
}
BENCHMARK(new_delete);

void calloc_free(benchmark::State& state) {
    for ([[maybe_unused]] auto unused : state) {
        void* block = std::calloc(1, block_bytes);
        benchmark::DoNotOptimize(block);
        std::free(block);
    }
}
BENCHMARK(calloc_free);

// Back and forth between two sizes, so that every call moves the block.
void realloc_moves(benchmark::State& state) {
    std::size_t size = block_bytes;
    void* block = std::malloc(size);
    for ([[maybe_unused]] auto unused : state) {
        size = size == block_bytes ? 4 * block_bytes : block_bytes;
        block = std::realloc(block, size);
        benchmark::DoNotOptimize(block);
    }
    std::free(block);
}
BENCHMARK(realloc_moves);

void posix_memalign_free(benchmark::State& state) {
    for ([[maybe_unused]] auto unused : state) {
        void* block = nullptr;
        if (posix_memalign(&block, 64, block_bytes) != 0) std::abort();
        benchmark::DoNotOptimize(block);
        std::free(block);
    }
}
BENCHMARK(posix_memalign_free);

// The same pair under the loader lock: with the shim it is served from the arena. One thread, so nothing can deadlock
// without it.
void malloc_free_in_walk(benchmark::State& state) {
    dl_iterate_phdr(
        [](dl_phdr_info*, std::size_t, void* data) {
            malloc_free(*static_cast<benchmark::State*>(data));
            return 1;
        },
        &state);
}
BENCHMARK(malloc_free_in_walk);

}  // namespace

BENCHMARK_MAIN();
