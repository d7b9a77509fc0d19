// SPDX-License-Identifier: Apache-2.0
// The allocators that people preload, as Debian ships them.
#pragma once

#include <ostream>
#include <string>

#include "tests/process/system.h"

namespace unknot::doors {

struct Allocator {
    const char* name;
    const char* library;  // for LD_PRELOAD; empty: libc's own
    const char* vendor;   // whose doors of its own it has; empty: none
};

inline constexpr Allocator tcmalloc{"tcmalloc", "libtcmalloc.so.4", "tcmalloc"};
inline constexpr Allocator tcmalloc_minimal{"tcmalloc_minimal", "libtcmalloc_minimal.so.4", "tcmalloc"};
inline constexpr Allocator tcmalloc_debug{"tcmalloc_debug", "libtcmalloc_debug.so.4", "tcmalloc"};
inline constexpr Allocator jemalloc{"jemalloc", "libjemalloc.so.2", "jemalloc"};
inline constexpr Allocator mimalloc{"mimalloc", UNKNOT_MIMALLOC, "mimalloc"};
inline constexpr Allocator glibc{"glibc", "", ""};

// Does this system have it?
inline bool is_installed(const Allocator& allocator) {
    return !process::is_missing(allocator.library);
}

inline constexpr Allocator allocators[] = {tcmalloc, tcmalloc_minimal, tcmalloc_debug, jemalloc, mimalloc, glibc};

inline std::string library(const std::string& name) {
    return UNKNOT_BINARY_DIR "/" + name;
}

// The shim first, then the allocator.
inline std::string preload(const Allocator& allocator) {
    return library("libunknot.so") + " " + allocator.library;
}

// The allocator's own doors between the two.
inline std::string preload_with_vendor(const Allocator& allocator) {
    return library("libunknot.so") + " " + library("libunknot_") + allocator.vendor + ".so " + allocator.library;
}

inline std::ostream& operator<<(std::ostream& out, const Allocator& allocator) {
    return out << allocator.name;
}

}  // namespace unknot::doors
