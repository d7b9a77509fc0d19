// SPDX-License-Identifier: Apache-2.0
// Every door of shim/allocator/entry_points.inc as data, found by name at run time: a row added there is tested here
// without another line. So are the rows of the vendor objects. A door that the process does not have (a bare process
// has no free_sized) is not listed.
#pragma once

#include <cstddef>
#include <vector>

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
};

struct Deallocation {
    const char* name;
    Family family;
    bool wants_size;
    bool wants_alignment;
    void (*call)(void* pointer, Wish wish);  // the size and the alignment that were asked for
};

struct Reallocation {
    const char* name;
    bool throws;
    bool zeroes;
    void* (*call)(void* pointer, std::size_t size);  // counts are 1, alignments 16
};

struct Doors {
    std::vector<Allocation> allocations;
    std::vector<Deallocation> deallocations;
    std::vector<Reallocation> reallocations;
};

// Those of the standards, and those of the vendor whose allocator is loaded.
const Doors& standard();
const Doors& vendors();

// Standard and vendor doors mix freely.
bool fits(const Allocation& allocation, const Deallocation& deallocation);

// malloc_usable_size as the program sees it.
std::size_t usable_size(void* pointer);

}  // namespace doors
