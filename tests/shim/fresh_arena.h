// SPDX-License-Identifier: Apache-2.0
// An arena of its own for one test, and blocks that know what they should hold.
#pragma once

#include <sys/mman.h>
#include <sys/resource.h>

#include <cstring>
#include <memory>
#include <vector>

#include "shim/arena/arena.h"

namespace unknot::testing {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool sanitized =
    true;  // shadow memory: limits on address space and system calls hit the runtime first
#else
inline constexpr bool sanitized = false;
#endif

struct FreshArena {
    explicit FreshArena(std::size_t limit = Arena::default_limit) { arena.set_limit(limit); }
    ~FreshArena() { arena.destroy(); }
    FreshArena(const FreshArena&) = delete;
    FreshArena& operator=(const FreshArena&) = delete;

    void* allocate(std::size_t size, std::size_t alignment = 16, Fill fill = Fill::as_is) {
        return arena.allocate(cursor, size, alignment, fill);
    }
    void free(void* p) { arena.deallocate(cursor, p); }
    bool resize(void* p, std::size_t size) { return arena.resize_in_place(cursor, p, size); }

    std::uint64_t live_blocks() {
        arena.publish(cursor);
        return page.arena_live_blocks;
    }
    std::uint64_t large_blocks() {
        arena.publish(cursor);
        return page.large_blocks;
    }
    std::uint64_t live_bytes() {
        arena.publish(cursor);
        return page.arena_live_bytes;
    }

    StatsPage page{};
    Arena arena{page};
    ArenaCursor cursor{};
};

// Bytes of the range that the process has in memory, in whole pages.
inline std::size_t resident(const void* start, std::size_t bytes) {
    const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(start) & ~std::uintptr_t{4095};
    std::vector<unsigned char> pages((reinterpret_cast<std::uintptr_t>(start) + bytes - first + 4095) / 4096);
    if (mincore(reinterpret_cast<void*>(first), pages.size() * 4096, pages.data()) != 0) return 0;
    std::size_t n = 0;
    for (unsigned char page : pages) n += page & 1u;
    return n * 4096;
}

// Every word of a filled block depends on the block's address and its own place, so that overlapping blocks show.
inline unsigned char pattern(const void* block, std::size_t at) {
    const std::uint64_t mixed = (reinterpret_cast<std::uintptr_t>(block) / 16 + at / 8) * 0x9e3779b97f4a7c15u;
    return static_cast<unsigned char>(mixed >> 56);
}

inline void fill(void* block, std::size_t from, std::size_t to) {
    for (std::size_t at = from; at < to; ++at) static_cast<unsigned char*>(block)[at] = pattern(block, at);
}

inline bool holds(const void* block, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; ++at) {
        if (static_cast<const unsigned char*>(block)[at] != pattern(block, at)) return false;
    }
    return true;
}

inline bool is_zero(const void* block, std::size_t bytes) {
    const auto* at = static_cast<const unsigned char*>(block);
    return bytes == 0 || (*at == 0 && std::memcmp(at, at + 1, bytes - 1) == 0);
}

inline void no_core_dumps() {
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
}

}  // namespace unknot::testing
