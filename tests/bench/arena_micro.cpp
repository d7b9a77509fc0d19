// SPDX-License-Identifier: Apache-2.0
// An arena pair beside the pair of whatever malloc is preloaded, in one process: the ratio is free of everything that
// differs from process to process.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "shim/arena/arena.h"

namespace {

constexpr std::size_t block_bytes = 64;

constinit unknot::StatsPage stats{};
constinit unknot::Arena arena{stats};

void arena_pair(benchmark::State& state) {
    unknot::ArenaCursor cursor{};
    for ([[maybe_unused]] auto unused : state) {
        void* block = arena.allocate(cursor, block_bytes);
        benchmark::DoNotOptimize(block);
        arena.deallocate(cursor, block);
    }
    arena.retire(cursor);
}
BENCHMARK(arena_pair);

// The newest block is taken back at once; here two are alive, so that the older one goes the way of most blocks.
void arena_pair_out_of_order(benchmark::State& state) {
    unknot::ArenaCursor cursor{};
    void* before = arena.allocate(cursor, block_bytes);
    for ([[maybe_unused]] auto unused : state) {
        void* block = arena.allocate(cursor, block_bytes);
        benchmark::DoNotOptimize(block);
        arena.deallocate(cursor, before);
        before = block;
    }
    arena.deallocate(cursor, before);
    arena.retire(cursor);
}
BENCHMARK(arena_pair_out_of_order);

void allocator_pair(benchmark::State& state) {
    for ([[maybe_unused]] auto unused : state) {
        void* block = std::malloc(block_bytes);
        benchmark::DoNotOptimize(block);
        std::free(block);
    }
}
BENCHMARK(allocator_pair);

void allocator_pair_out_of_order(benchmark::State& state) {
    void* before = std::malloc(block_bytes);
    for ([[maybe_unused]] auto unused : state) {
        void* block = std::malloc(block_bytes);
        benchmark::DoNotOptimize(block);
        std::free(before);
        before = block;
    }
    std::free(before);
}
BENCHMARK(allocator_pair_out_of_order);

}  // namespace

BENCHMARK_MAIN();
