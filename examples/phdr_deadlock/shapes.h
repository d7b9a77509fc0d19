// SPDX-License-Identifier: Apache-2.0
// What the walking thread does while it owns the loader lock.
#pragma once

#include <link.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "examples/phdr_deadlock/growth.h"

namespace shapes {

// Above tcmalloc's largest size class (256 KiB), so every call needs the page heap and its lock.
inline constexpr std::size_t walk_bytes = 300'000;

inline std::mutex application_lock;
inline std::atomic<std::size_t> growths_done = 0;

// The compiler may remove a pair of malloc and free that nobody looks at.
inline void* seen(void* block) {
    asm volatile("" : "+r"(block));
    return block;
}

// Grows the heap itself, so its own stack trace wants the unwinder's lock: gperftools from 2.11 takes the trace outside
// of the page heap's lock, and libunwind asks the loader while it holds its cache's. The blocks are kept, so it is one
// for many of the growing thread's.
inline void grow_in_walk() {
    constexpr std::size_t every = 8;
    static std::size_t last = 0;
    const std::size_t now = growths_done / every;
    if (std::exchange(last, now) != now) seen(std::malloc(growth::block_bytes));
}

// What the walking thread does while it owns the loader lock. `block` was allocated before the walk and is freed after
// it.
using Shape = void (*)(void*& block);

struct NamedShape {
    const char* name;
    Shape run;
};

inline constexpr NamedShape all[] = {
    {"malloc", [](void*&) { std::free(seen(std::malloc(walk_bytes))); }},
    {"calloc", [](void*&) { std::free(seen(std::calloc(3, walk_bytes / 3))); }},
    {"realloc", [](void*& block) { block = seen(std::realloc(block, 2 * walk_bytes)); }},
    {"free", [](void*& block) { std::free(seen(std::exchange(block, nullptr))); }},
    {"new", [](void*&) { ::operator delete(seen(::operator new(walk_bytes))); }},
    {"grow", [](void*&) { grow_in_walk(); }},
    // No allocation here: the cycle goes through a lock of the application, which the growing thread allocates under.
    {"lock3", [](void*&) { std::lock_guard<std::mutex> held(application_lock); }},
};

struct Walk {
    Shape run;
    void* block;
};

inline int callback(dl_phdr_info*, std::size_t, void* data) {
    auto& walk = *static_cast<Walk*>(data);
    walk.run(walk.block);
    return 1;  // one object is enough
}

inline void walk_once(Shape run) {
    Walk walk{run, std::malloc(walk_bytes)};
    dl_iterate_phdr(callback, &walk);
    std::free(walk.block);
}

inline const NamedShape* find_shape(const char* name) {
    for (const NamedShape& shape : all) {
        if (std::strcmp(shape.name, name) == 0) return &shape;
    }
    return nullptr;
}

// The cycle of "lock3" goes through a lock of the application, which the growing thread allocates under.
inline bool locks_while_growing(const NamedShape& shape) {
    return std::strcmp(shape.name, "lock3") == 0;
}

}  // namespace shapes
