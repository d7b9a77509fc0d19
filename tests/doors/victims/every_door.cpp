// SPDX-License-Identifier: Apache-2.0
// Every allocation of every size from every door in one context, every fitting deallocation in another: contents,
// alignment, usable size, and what the shim counted.
//   every_door <allocated where> <freed where> [vendor]
// With `vendor`, one of the two doors at least is one that only this allocator has.
#include <dlfcn.h>

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "tests/doors/contexts.h"
#include "tests/doors/doors.h"

using namespace doors;
using unknot::StatsPage;

namespace {

struct Block {
    const Allocation* from;
    const Deallocation* to;
    Wish wish;
    void* memory = nullptr;
    bool diverted = false;
    unsigned char pattern = 0;
    std::size_t filled = 0;  // bytes
};

constexpr std::size_t sizes[] = {0, 1, 8, 24, 100, 1000, 5000, 40'000, 300'000, 3'000'000};
constexpr std::size_t alignments[] = {16, 64, 4096, 65'536};

bool has_word(std::string_view name, std::string_view word) {
    return name.find(word) != std::string_view::npos;
}

bool over_jemalloc() {
    return dlsym(RTLD_DEFAULT, "mallctl") != nullptr;
}

// One block for every size that these two doors can do.
void plan(std::vector<Block>& blocks, const Allocation& from, const Deallocation& to, bool diverted) {
    if (!fits(from, to)) return;
    for (const std::size_t size : sizes) {
        if (size > 1000 && has_word(from.name, "small")) continue;
        for (const std::size_t alignment : alignments) {
            if (alignment != 16 && !from.takes_alignment) continue;
            if (alignment == 64 && size != 100) continue;
            // jemalloc 5.3.0 puts an empty aligned block, deleted with its size, into the wrong bin, and takes no
            // size of 0 in its own functions.
            if (size == 0 && (has_word(from.name, "allocx") || (!diverted && from.family >= Family::cxx_aligned))) {
                continue;
            }
            // jemalloc 5.3.1 has a pvalloc of its own, which makes no page of nothing (bare, in Debian sid).
            if (size == 0 && !diverted && has_word(from.name, "pvalloc") && over_jemalloc()) continue;
            blocks.push_back({.from = &from,
                              .to = &to,
                              .wish = {size, alignment},
                              .pattern = static_cast<unsigned char>(blocks.size() % 255 + 1)});
        }
    }
}

std::vector<Block> plan(bool diverted, bool vendor) {
    std::vector<Block> blocks;
    for (const Allocation& from : standard().allocations) {
        for (const Deallocation& to : (vendor ? vendors() : standard()).deallocations) plan(blocks, from, to, diverted);
    }
    if (!vendor) return blocks;
    for (const Allocation& from : vendors().allocations) {
        for (const Deallocation& to : vendors().deallocations) plan(blocks, from, to, diverted);
        for (const Deallocation& to : standard().deallocations) plan(blocks, from, to, diverted);
    }
    return blocks;
}

bool reads_zero(const unsigned char* bytes, std::size_t size) {
    return size == 0 || (*bytes == 0 && std::memcmp(bytes, bytes + 1, size - 1) == 0);
}

bool reads(const unsigned char* bytes, std::size_t size, unsigned char pattern) {
    return size == 0 || (*bytes == pattern && std::memcmp(bytes, bytes + 1, size - 1) == 0);
}

// The allocators do not align what is smaller than the alignment; the arena always does.
std::size_t natural(std::size_t alignment, std::size_t size, bool diverted) {
    return diverted || alignment > 16 || size >= 16 ? alignment : std::bit_floor(size);
}

void allocate(Block& block, bool owns_loader_lock) {
    const char* door = block.from->name;
    // What names a heap is served from there (docs/doors.md).
    const bool must_divert = owns_loader_lock && !std::string_view(door).starts_with("mi_heap_");
    const std::uint64_t diverted = counter(&StatsPage::diverted);
    errno = 4711;
    block.memory = block.from->call(block.wish);
    block.diverted = counter(&StatsPage::diverted) != diverted;
    const std::size_t size = block.from->size_of(block.wish);
    const std::size_t alignment = block.from->alignment_of(block.wish);
    expect(block.memory != nullptr, door, "returns a block", size);
    if (block.memory == nullptr) return;
    expect(!must_divert || errno == 4711, door, "leaves errno alone", size);
    expect(counter(&StatsPage::diverted) - diverted == (must_divert ? 1u : 0u), door,
           "is diverted exactly when this thread owns a loader lock and it names no heap", size);
    if (must_divert || size != 0) {
        expect(reinterpret_cast<std::uintptr_t>(block.memory) % natural(alignment, size, must_divert) == 0, door,
               "is aligned as asked", size);
    }
    // Asked about a block of memalign, tcmalloc_debug says too much, and for large alignments it aborts.
    if (must_divert || alignment <= 16) {
        expect(usable_size(block.memory) >= size, door, "has at least as much room as was asked for", size);
    }
    auto* bytes = static_cast<unsigned char*>(block.memory);
    if (block.from->zeroes) expect(reads_zero(bytes, size), door, "reads as zeroes", size);
    // All of the room, where the shim says how much that is.
    block.filled = must_divert ? usable_size(block.memory) : block.wish.size;
    std::memset(bytes, block.pattern, block.filled);
}

void deallocate(Block& block, bool must_wait) {
    const char* door = block.to->name;
    const std::size_t size = block.from->size_of(block.wish);
    expect(reads(static_cast<const unsigned char*>(block.memory), block.filled, block.pattern), door,
           "got the block as it was left", size);
    const std::uint64_t deferred = counter(&StatsPage::deferred);
    errno = 4711;
    block.to->call(block.memory, {size, block.wish.alignment});
    expect(errno == 4711, door, "leaves errno alone", size);
    expect(counter(&StatsPage::deferred) - deferred == (must_wait && !block.diverted ? 1u : 0u), door,
           "is deferred exactly when this thread owns a loader lock and the block is ordinary", size);
}

}  // namespace

int main(int argc, char** argv) {
    const auto here = argc >= 3 ? context_named(argv[1]) : std::nullopt;
    const auto there = argc >= 3 ? context_named(argv[2]) : std::nullopt;
    if (!here || !there) {
        std::fprintf(stderr, "usage: every_door <where> <where> [vendor], of plain, thread, walk, constructor\n");
        return 2;
    }
    std::vector<Block> blocks = plan(diverts(*here), argc == 4);
    // What ld.so keeps of the first dlopens is not ours to count.
    for (int i = 0; i < 3; ++i) run_in(Context::constructor, [] {});
    run_in(Context::walk, [] {});  // publishes the gauges
    const std::uint64_t live = counter(&StatsPage::arena_live_blocks);
    for (std::size_t start = 0; start < blocks.size();) {
        // In batches, so that a run needs little memory.
        const std::size_t end = std::min(blocks.size(), start + 100);
        run_in(*here, [&] {
            for (std::size_t i = start; i < end; ++i) allocate(blocks[i], diverts(*here));
        });
        run_in(*there, [&] {
            for (std::size_t i = start; i < end; ++i) {
                if (blocks[i].memory != nullptr) deallocate(blocks[i], is_protected() && owns_loader_lock(*there));
            }
        });
        start = end;
    }
    std::free(std::malloc(1));  // owns no lock: what still waits is drained here
    expect(counter(&StatsPage::deferred) == counter(&StatsPage::drained), "every door", "every deferred free was run");
    run_in(Context::walk, [] {});
    expect(counter(&StatsPage::arena_live_blocks) <= live, "every door", "no arena block is left");
    expect(counter(&StatsPage::forwarded) == 0, "every door", "no call went to the allocator under a loader lock");
    return verdict();
}
