// SPDX-License-Identifier: Apache-2.0
// How the arena's memory is laid out, for its two sources only: the header of a block, the head of the reservation.
#pragma once

#include <bit>

#include "shim/arena.h"

namespace [[gnu::visibility("hidden")]] unknot {

inline constexpr std::size_t round_up(std::size_t n, std::size_t unit) {
    return (n + unit - 1) & ~(unit - 1);
}

inline unsigned class_of(std::size_t bytes) {
    return bytes <= chunk_size ? 0 : static_cast<unsigned>(std::bit_width((bytes - 1) / chunk_size));
}

// The header before every payload. `mark` binds it to its place, its size and this process: a stray write, a foreign
// pointer or a stale header goes unnoticed once in 2^31.
struct Arena::Block {
    std::uint64_t size;   // usable bytes of the payload
    std::uint32_t chunk;  // the first chunk of the span
    std::uint32_t mark;

    void* payload() { return this + 1; }
    char* end() { return static_cast<char*>(payload()) + size; }

    std::uint32_t live_mark(std::uint64_t cookie) const {
        std::uint64_t mixed = (reinterpret_cast<std::uintptr_t>(this) ^ cookie) + size * 0x9e3779b97f4a7c15u;
        mixed = (mixed ^ (mixed >> 29) ^ chunk) * 0xbf58476d1ce4e5b9u;
        return static_cast<std::uint32_t>(mixed >> 32) | 1u;  // never 0: fresh pages are no header
    }
    std::uint32_t freed_mark(std::uint64_t cookie) const { return ~live_mark(cookie); }
};

// Lies at the start of the reservation; the chunks' metadata follows it.
struct Arena::Region {
    char* spans;
    std::size_t bytes;
    std::uint32_t chunk_count;
    bool writable;  // from the start, without commit: the static reserve
    std::uint64_t cookie;
    Chunk chunks[1];  // chunk_count of them

    char* start_of(std::uint32_t index) const { return spans + std::size_t{index} * chunk_size; }
    std::uint32_t index_of(const void* p) const {
        return static_cast<std::uint32_t>(static_cast<std::size_t>(static_cast<const char*>(p) - spans) / chunk_size);
    }
};

}  // namespace unknot
