// SPDX-License-Identifier: Apache-2.0
// Every reallocation, of a block made in one context and resized in another: contents, growth that has to be zero,
// room, and that a block leaves the arena with the first resize that owns no lock and cannot stay in place.
//   reallocations <made where> <resized where> [vendor]
// With `vendor`, by the doors that only this allocator has.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

#include "tests/doors/contexts.h"
#include "tests/doors/doors.h"

using namespace doors;
using unknot::StatsPage;

namespace {

volatile std::size_t too_much = SIZE_MAX - 4096;
constexpr std::size_t first_size = 77;

bool is_word(std::string_view name, std::string_view word) {
    return name.find(word) != std::string_view::npos;
}

bool reads(const void* block, std::size_t from, std::size_t to, unsigned char pattern) {
    const auto* bytes = static_cast<const unsigned char*>(block);
    return std::all_of(bytes + from, bytes + to, [&](unsigned char byte) { return byte == pattern; });
}

bool refuses(const Reallocation& door, void* block) {
    try {
        return door.call(block, too_much) == nullptr && !door.throws;
    } catch (const std::bad_alloc&) {
        return door.throws;
    }
}

void resize(const Reallocation& door, void*& block, std::size_t& size, std::size_t wanted) {
    const std::size_t room = usable_size(block);
    std::memset(block, 0x5a, size);
    // "The growth" begins behind all of the room: see mi_rezalloc.
    if (door.zeroes) std::memset(static_cast<char*>(block) + size, 0, room - size);
    errno = 4711;
    void* const moved = door.call(block, wanted);
    expect(moved != nullptr, door.name, "gets a block", wanted);
    if (moved == nullptr) return;
    block = moved;
    expect(errno == 4711 || !is_protected(), door.name, "leaves errno alone", wanted);
    expect(reads(block, 0, std::min(size, wanted), 0x5a), door.name, "keeps the contents", wanted);
    if (door.zeroes && wanted > size) expect(reads(block, size, wanted, 0), door.name, "zeroes the growth", wanted);
    expect(usable_size(block) >= wanted, door.name, "has the room", wanted);
    expect(reinterpret_cast<std::uintptr_t>(block) % 8 == 0, door.name, "is aligned", wanted);
    size = wanted;
}

void resize_through_all_sizes(const Reallocation& door, void*& block, Context there) {
    std::size_t size = first_size;
    for (const std::size_t wanted : {90, 100, 5000, 4000, 300'000, 20, 1'000'000, 3'000'000, 8, 1}) {
        resize(door, block, size, wanted);
    }
    // mimalloc, which is C in Debian, aborts where it should throw.
    if (door.throws && !diverts(there)) return;
    std::memset(block, 0x5a, size);
    expect(refuses(door, block), door.name, "refuses too much");
    expect(reads(block, 0, size, 0x5a), door.name, "leaves the block alone when it refuses");
}

void check(const Reallocation& door, Context here, Context there) {
    void* block = nullptr;
    run_in(here, [&] { block = std::calloc(1, first_size); });
    run_in(there, [&] { resize_through_all_sizes(door, block, there); });
    // Wherever it is now, it can be taken on under no lock, and under one.
    std::size_t size = 1;
    resize(door, block, size, 2'000'000);
    run_in(Context::walk, [&] { resize(door, block, size, 4'000'000); });
    std::free(block);
    if (is_word(door.name, "rallocx")) return;  // takes no NULL
    run_in(there, [&] {
        block = door.call(nullptr, first_size);
        expect(block != nullptr, door.name, "allocates where there is nothing to resize");
    });
    std::free(block);
}

// Whether that frees the block or leaves an empty one is the allocator's custom, and the shim's for its own blocks.
void resize_to_nothing(const Reallocation& door, Context here, Context there) {
    if (is_word(door.name, "rallocx")) return;  // its manual forbids it
    void* left = door.call(std::malloc(first_size), 0);
    const bool frees = left == nullptr;
    std::free(left);
    void* block = nullptr;
    run_in(here, [&] { block = std::malloc(first_size); });
    run_in(there, [&] { left = door.call(block, 0); });
    expect((left == nullptr) == frees, door.name, "does with no bytes what the allocator does");
    std::free(left);
}

void resizes_in_one_place_only(Context there) {
    void* block = nullptr;
    run_in(Context::walk, [&] { block = std::malloc(100); });
    const std::uint64_t diverted = counter(&StatsPage::diverted);
    run_in(there, [&] { block = std::realloc(block, 3'000'000); });
    // dlopen itself allocates.
    if (there == Context::constructor) return std::free(block);
    expect(counter(&StatsPage::diverted) - diverted == (diverts(there) ? 1u : 0u), "realloc",
           "leaves the arena unless a loader lock is owned");
    std::free(block);
}

}  // namespace

int main(int argc, char** argv) {
    const auto here = argc >= 3 ? context_named(argv[1]) : std::nullopt;
    const auto there = argc >= 3 ? context_named(argv[2]) : std::nullopt;
    if (!here || !there) {
        std::fprintf(stderr, "usage: reallocations <where> <where> [vendor], of plain, thread, walk, constructor\n");
        return 2;
    }
    for (const Reallocation& door : (argc == 4 ? vendors() : standard()).reallocations) {
        check(door, *here, *there);
        resize_to_nothing(door, *here, *there);
    }
    resizes_in_one_place_only(*there);
    expect(counter(&StatsPage::forwarded) == 0, "every door", "no call went to the allocator under a loader lock");
    return verdict();
}
