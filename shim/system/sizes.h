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

// An alignment that no block can have: the request is refused (EINVAL, or std::bad_alloc).
inline constexpr std::size_t no_alignment = 0;

// What glibc's memalign makes of an alignment that is no power of two.
constexpr std::size_t next_power_of_two(std::size_t alignment) {
    return alignment > SIZE_MAX / 2 + 1 ? no_alignment : std::bit_ceil(alignment);
}

// C17 wants anything else refused, glibc does from 2.38 on, libstdc++'s operator new always did.
constexpr std::size_t only_power_of_two(std::size_t alignment) {
    return std::has_single_bit(alignment) ? alignment : no_alignment;
}

// Size and alignment of which nobody says which comes first. Where both could be the alignment, the block serves both
// readings: it is as large and as aligned as the larger of the two.
constexpr std::size_t size_in_either_order(std::size_t one, std::size_t other) {
    if (std::has_single_bit(one)) return std::has_single_bit(other) && one > other ? one : other;
    return one;
}
constexpr std::size_t alignment_in_either_order(std::size_t one, std::size_t other) {
    if (std::has_single_bit(one)) return std::has_single_bit(other) && other > one ? other : one;
    return only_power_of_two(other);
}

std::size_t page_size();

inline std::size_t whole_pages(std::size_t size) {
    const std::size_t page = page_size();
    if (size > SIZE_MAX - page) return SIZE_MAX;
    return size == 0 ? page : (size + page - 1) & ~(page - 1);
}

static_assert(product(SIZE_MAX, 2) == SIZE_MAX);
static_assert(next_power_of_two(0) == 1 && next_power_of_two(24) == 32 && next_power_of_two(SIZE_MAX) == no_alignment);
static_assert(only_power_of_two(64) == 64 && only_power_of_two(24) == no_alignment &&
              only_power_of_two(0) == no_alignment);
static_assert(size_in_either_order(16, 1000) == 1000 && size_in_either_order(1000, 16) == 1000);
static_assert(alignment_in_either_order(16, 1000) == 16 && alignment_in_either_order(1000, 16) == 16);
static_assert(size_in_either_order(64, 4096) == 4096 && alignment_in_either_order(4096, 64) == 4096);
static_assert(size_in_either_order(16, 0) == 0 && alignment_in_either_order(0, 16) == 16 &&
              alignment_in_either_order(24, 1000) == no_alignment);

}  // namespace unknot
