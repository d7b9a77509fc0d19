// SPDX-License-Identifier: Apache-2.0
// The arithmetic of sizes and alignments that the entry points' contracts ask for. Too much saturates at the largest
// size, which every allocator refuses.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace unknot {

constexpr std::size_t product(std::size_t count, std::size_t size) {
    std::size_t bytes = 0;
    return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
}

// What glibc's memalign makes of an alignment that is no power of two.
constexpr std::size_t next_power_of_two(std::size_t alignment) {
    return alignment > SIZE_MAX / 2 + 1 ? SIZE_MAX / 2 + 1 : std::bit_ceil(alignment);
}

std::size_t page_size();

inline std::size_t whole_pages(std::size_t size) {
    const std::size_t page = page_size();
    if (size > SIZE_MAX - page) return SIZE_MAX;
    return size == 0 ? page : (size + page - 1) & ~(page - 1);
}

static_assert(product(SIZE_MAX, 2) == SIZE_MAX);
static_assert(next_power_of_two(0) == 1 && next_power_of_two(24) == 32);

}  // namespace unknot
