// SPDX-License-Identifier: Apache-2.0
// What tests expect of Debian's packages where their versions differ.
#pragma once

#include <features.h>

#include <string_view>

namespace unknot::process {

constexpr int gperftools_minor = UNKNOT_GPERFTOOLS_MINOR;  // 2.N
constexpr int glibc_minor = __GLIBC_MINOR__;               // 2.N

// gperftools' stack method generic_fp: not in 2.8, there in 2.10. What it does not know it warns of, and takes its
// default.
constexpr bool tcmalloc_has_generic_fp = gperftools_minor >= 10;

// From 2.11 on (seen with 2.16) gperftools takes the stack trace of a growing heap after it has let go of the page
// heap's lock. The second lock is then libunwind's own, of its register-state cache, which a walker wants only if it
// grows the heap itself: most shapes of the deadlock are gone or luck. It is also not among the locks that gperftools
// takes before a fork.
constexpr bool traces_outside_page_heap_lock = gperftools_minor >= 11;

// Debian's tcmalloc for arm64, in all its builds, does not take its own locks before a fork (2.10, seen under qemu-user
// without the shim and without a walk).
#if defined(__aarch64__)
constexpr bool locks_before_fork = false;
#else
constexpr bool locks_before_fork = true;
#endif

// The reproducer that hangs in (nearly) every run: its walker allocates, or grows the heap too.
constexpr const char* certain_shape = traces_outside_page_heap_lock ? "grow" : "malloc";

// libgcc looks its tables up through _dl_find_object, without a lock.
constexpr bool libgcc_takes_no_lock = glibc_minor >= 35;

// What a walk that waits leaves behind has been looked at there (docs/rescue.md); elsewhere `unknot rescue` refuses.
constexpr bool rescue_is_proved = glibc_minor == 31 || glibc_minor == 36 || glibc_minor == 41;

// Until glibc 2.33 it calls calloc every time: a malloc that looks functions up ends there with a full stack.
constexpr bool dlsym_allocates_only_where_it_fails = glibc_minor >= 34;

// An exception may leave the callback of a walk: glibc 2.31 keeps the loader's lock then, 2.36 does not.
constexpr bool callbacks_may_throw = glibc_minor > 31;

// May a child that was forked beside threads allocate? Where not, it may find a lock taken for ever that no loader lock
// is part of.
constexpr bool survives_fork(std::string_view allocator) {
    if (allocator.substr(0, 8) != "tcmalloc") return true;
    return locks_before_fork && (allocator != "tcmalloc" || !traces_outside_page_heap_lock);
}

// Debian 11 has no mimalloc. UNKNOT_MIMALLOC is the soname that cmake has found (tests/CMakeLists.txt).
inline bool is_missing(std::string_view soname) {
    return soname == "libmimalloc.so.none";
}

}  // namespace unknot::process
