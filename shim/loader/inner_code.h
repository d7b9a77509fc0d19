// SPDX-License-Identifier: Apache-2.0
// Code that may run while a thread stands inside the allocator: the allocator itself, the unwinders, libc and ld.so. A
// call from there says nothing about where the thread is; a call from any other code comes from outside.
//
// Thread safety: readers anywhere, signal handlers too, without a lock. Writers are serialised by the loader's write
// lock, which dl_iterate_phdr holds during the callbacks that they run in.
// (1) `bytes` is zero while the rest of an entry changes, and a reader who sees two different values of it looks again:
//     so no reader takes one range's start with another's length.
#pragma once

#include <link.h>

#include <cstddef>
#include <cstdint>

namespace [[gnu::visibility("hidden")]] unknot {

enum class InnerCode : std::uint8_t {
    none,
    libc,
    allocator,
    unwinder,
    throwing,  // that part of an unwinder which unwinds in order to leave frames, as opposed to looking at them
};

// The narrowest answer for this address.
InnerCode inner_code_at(const void* address);
// Changes with every change of the ranges: an answer given under the same generation still holds.
std::uint32_t inner_code_generation();
inline bool is_inner_code(const void* address) {
    return inner_code_at(address) != InnerCode::none;
}

// Do both stand in the code of one unwinder?
bool in_one_unwinder(const void* one, const void* other);

// By the name of its file: an unwinder, libc or ld.so?
InnerCode inner_code_named(const char* path);

// Keeps the executable ranges of a loaded object, and an unwinder's throwing functions. A full table keeps no more:
// such an unwinder's walks wait for the loader lock, as without the shim.
void note_inner_code(const dl_phdr_info& object, InnerCode what);

// Keeps the functions through which this object is entered as an allocator: what else it contains is not one. They
// stay.
void note_allocation_functions(const dl_phdr_info& object);

// Around notes of every loaded object: what is not noted in between has been unloaded, and is forgotten.
void begin_noting();
void end_noting();

}  // namespace unknot
