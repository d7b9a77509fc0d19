// SPDX-License-Identifier: Apache-2.0
// A loop whose instructions are counted by callgrind. Two runs with different COUNTs leave, in their difference, the
// loop alone: no start-up, no loading.
//   counted_loop NAME COUNT
#include <link.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/bench/counted_loops.h"
#include "tests/bench/counted_unwinder.h"

namespace {

constexpr std::size_t block_bytes = 64;

void* volatile kept;

void malloc_free() {
    kept = std::malloc(block_bytes);
    std::free(kept);
}
void new_delete() {
    kept = ::operator new(block_bytes);
    ::operator delete(kept);
}
void calloc_free() {
    kept = std::calloc(1, block_bytes);
    std::free(kept);
}
// Malloc, so that realloc has something to move; malloc and free are counted by themselves.
void realloc_moves() {
    kept = std::malloc(block_bytes);
    kept = std::realloc(kept, 4 * block_bytes);
    std::free(kept);
}
void posix_memalign_free() {
    void* block = nullptr;
    if (posix_memalign(&block, 64, block_bytes) != 0) std::abort();
    kept = block;
    std::free(kept);
}

void walk() {
    dl_iterate_phdr([](dl_phdr_info*, std::size_t, void*) { return 0; }, nullptr);
}
// Under the write lock: what a walk's callback allocates. `turns` pairs in one walk.
int pairs_left;
void diverted_pairs(int turns) {
    pairs_left = turns;
    dl_iterate_phdr(
        [](dl_phdr_info*, std::size_t, void*) {
            for (; pairs_left > 0; --pairs_left) malloc_free();
            return 1;
        },
        nullptr);
}
// Blocks of the allocator's that a walk's callback frees: each waits until the walk is over. So many at a time as no
// stretch finds too much.
constexpr int freed_in_a_walk = 1000;
void deferred_frees(int turns) {
    static void* blocks[freed_in_a_walk];
    for (; turns > 0; turns -= freed_in_a_walk) {
        for (void*& block : blocks) block = std::malloc(block_bytes);
        dl_iterate_phdr(
            [](dl_phdr_info*, std::size_t, void*) {
                for (void* block : blocks) std::free(block);
                return 1;
            },
            nullptr);
    }
}
// Ends at the first object: how many there are differs by what is preloaded.
void shortest_walk() {
    dl_iterate_phdr([](dl_phdr_info*, std::size_t, void*) { return 1; }, nullptr);
}
// Two of them, each from its own place in the code.
void shortest_walks() {
    shortest_walk();
    asm volatile("");  // or the call becomes a jump, and the place is our caller's
    dl_iterate_phdr([](dl_phdr_info*, std::size_t, void*) { return 1; }, nullptr);
    asm volatile("");
}
// Looks for what lies in the first object, the program: libc's walk too ends there.
void unwinders_walk() {
    const void* sought = &pairs_left;
    walk_as_an_unwinder([](dl_phdr_info*, std::size_t, void*) { return 1; }, &sought);
}

}  // namespace

int main(int argc, char** argv) {
    using Turn = void (*)();
#define UNKNOT_LOOP(name, budget) {#name, name},
    static constexpr struct {
        const char* name;
        Turn turn;
    } loops[] = {UNKNOT_COUNTED_LOOPS(UNKNOT_LOOP){"walk", walk},
                 {"shortest_walk", shortest_walk},
                 {"shortest_walks", shortest_walks},
                 {"unwinders_walk", unwinders_walk}};
#undef UNKNOT_LOOP
    if (argc == 3 && std::strcmp(argv[1], "diverted_pairs") == 0) return diverted_pairs(std::atoi(argv[2])), 0;
    if (argc == 3 && std::strcmp(argv[1], "deferred_frees") == 0) return deferred_frees(std::atoi(argv[2])), 0;
    for (const auto& loop : loops) {
        if (argc != 3 || std::strcmp(argv[1], loop.name) != 0) continue;
        for (int i = std::atoi(argv[2]); i > 0; --i) loop.turn();
        return 0;
    }
    std::fprintf(stderr, "usage: counted_loop NAME COUNT, NAME one of:");
    for (const auto& loop : loops) std::fprintf(stderr, " %s", loop.name);
    std::fprintf(stderr, "; nothing was run\n");
    return 2;
}
