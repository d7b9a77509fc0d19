// SPDX-License-Identifier: Apache-2.0
// A program under the shim, in a process that lacks something: see afflict.cpp.
#pragma once

#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "tests/process/child.h"
#include "tests/process/system.h"

namespace unknot::faults {

struct Allocator {
    const char* name;
    const char* soname;  // empty: libc's own
};

inline void PrintTo(const Allocator& allocator, std::ostream* out) {
    *out << allocator.name;
}

inline constexpr Allocator tcmalloc{"tcmalloc", "libtcmalloc.so.4"};
inline constexpr Allocator glibc{"glibc", ""};
inline constexpr Allocator allocators[] = {
    tcmalloc,
    {"tcmalloc_minimal", "libtcmalloc_minimal.so.4"},
    {"mimalloc", UNKNOT_MIMALLOC},
    {"jemalloc", "libjemalloc.so.2"},
    glibc,
};

using Variables = std::vector<std::pair<std::string, std::string>>;

struct Affliction {
    std::vector<std::string> faults = {};
    Variables variables = {};                      // besides LD_PRELOAD and UNKNOT_MODE=protect; an empty value unsets
    std::vector<std::string> program = {"works"};  // the first word without "fault_"
    std::string behind = {};                       // a library preloaded behind the shim, before the allocator
    bool preloads = true;
    std::string before = {};            // a library preloaded before the shim
    std::string shim = "libunknot.so";  // of the build folder; or what is to be compared with it
};

// A file of the build folder.
std::string built(const std::string& name);

process::Result run_afflicted(const Affliction& affliction, const Allocator& allocator = tcmalloc);

// What the shim has written, without "TIME unknot[PID]: ", one line each. Anything else in `text` makes a line of its
// own.
std::vector<std::string> lines(const std::string& text);

// Has this machine refused to make the fault?
bool was_refused(const process::Result& result);

// All that is known of it, for the message of a failed check.
std::string story(const process::Result& result);

}  // namespace unknot::faults

// Says so, and goes no further, where the fault cannot be made here.
#define SKIP_IF_REFUSED(result) \
    if (::unknot::faults::was_refused(result)) GTEST_SKIP() << (result).err
