// SPDX-License-Identifier: Apache-2.0
// Every door of shim/entry_points.inc as data, found by name at run time: a row added there is tested here without
// another line. A door that the process does not have (a bare process has no free_sized) has no function.
#pragma once

#include <cstddef>
#include <span>

namespace doors {

// Which deallocations fit an allocation: the standards pair them, debug allocators check it.
enum class Family : unsigned char {
    c,
    c_aligned,
    cxx,
    cxx_array,
    cxx_aligned,
    cxx_array_aligned,
};

struct Wish {
    std::size_t size;
    std::size_t alignment;
};

struct Allocation {
    const char* name;
    Family family;
    bool throws;
    bool zeroes;
    bool takes_alignment;
    void* (*call)(Wish wish);  // counts are 3, where a door takes one
    std::size_t (*size_of)(Wish wish);
    std::size_t (*alignment_of)(Wish wish);
    bool present;
};

struct Deallocation {
    const char* name;
    Family family;
    void (*call)(void* pointer, Wish wish);  // the size and the alignment that were asked for
    bool present;
};

struct Reallocation {
    const char* name;
    void* (*call)(void* pointer, std::size_t size);  // a size that 1 divides: counts are 1
    bool present;
};

std::span<const Allocation> allocations();
std::span<const Deallocation> deallocations();
std::span<const Reallocation> reallocations();

bool fits(const Allocation& allocation, const Deallocation& deallocation);

// malloc_usable_size as the program sees it.
std::size_t usable_size(void* pointer);

}  // namespace doors
