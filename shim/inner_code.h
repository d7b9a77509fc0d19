// SPDX-License-Identifier: Apache-2.0
// Code that may run while a thread stands inside the allocator: the allocator itself, the unwinders, libc and ld.so. A
// call from there says nothing about where the thread is; a call from any other code comes from outside.
#pragma once

#include <cstddef>
#include <cstdint>

namespace unknot {

enum class InnerCode : std::uint8_t { none, allocator, unwinder, libc };

struct InnerRange {
    std::uintptr_t start;
    std::size_t bytes;
    InnerCode what;
};

// Adds an executable range. At most `inner_ranges_most` are kept; more would be a process with that many unwinders.
void add_inner_range(const InnerRange& range);

InnerCode inner_code_at(const void* address);
inline bool is_inner_code(const void* address) {
    return inner_code_at(address) != InnerCode::none;
}

inline constexpr std::size_t inner_ranges_most = 16;

}  // namespace unknot
