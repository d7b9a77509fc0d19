// SPDX-License-Identifier: Apache-2.0
// What takes a look at the stack: a C++ throw, and libunwind's two ways to take a trace. libunwind is looked up when
// the program runs, by its soname: a system may have it without its header.
#pragma once

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace unknot::bench {

using Work = void (*)();

[[gnu::noinline]] inline void throw_from(int frames) {
    if (frames == 0) throw 1;
    throw_from(frames - 1);
    asm volatile("" : : : "memory");  // a frame of its own
}

// Caught four frames further out.
[[gnu::noinline]] inline void throw_and_catch() {
    try {
        throw_from(3);
    } catch (int) {
    }
}

inline int (*unw_backtrace)(void**, int) = nullptr;
inline int (*unwind_backtrace)(int (*)(void*, void*), void*) = nullptr;

// unw_backtrace keeps a cache of call sites for each thread.
[[gnu::noinline]] inline void quick_trace() {
    void* frames[32];
    const int count = unw_backtrace(frames, 32);
    asm volatile("" : : "r"(count), "r"(frames) : "memory");
}

// libunwind's _Unwind_Backtrace goes step by step, through the cache that all threads share.
[[gnu::noinline]] inline void stepped_trace() {
    int count = 0;
    unwind_backtrace(
        [](void*, void* counted) {
            ++*static_cast<int*>(counted);
            return 0;
        },
        &count);
    asm volatile("" : : "r"(count) : "memory");
}

inline bool find_libunwind() {
    void* library = dlopen("libunwind.so.8", RTLD_NOW);
    if (library == nullptr) return false;
    unw_backtrace = reinterpret_cast<decltype(unw_backtrace)>(dlsym(library, "unw_backtrace"));
    // By the name that libgcc does not have.
    unwind_backtrace = reinterpret_cast<decltype(unwind_backtrace)>(dlsym(library, "__libunwind_Unwind_Backtrace"));
    return unw_backtrace != nullptr && unwind_backtrace != nullptr;
}

}  // namespace unknot::bench
