// SPDX-License-Identifier: Apache-2.0
// Programs under LD_PRELOAD: with an allocator alone, or with the shim before it and a report at exit.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "tests/process/child.h"
#include "tests/process/report_line.h"
#include "tests/process/system.h"

namespace unknot::preload {

struct Allocator {
    const char* name;    // in names of tests
    const char* soname;  // empty: libc's own
    const char* kind;    // as the report calls it
    const char* mode;    // that UNKNOT_MODE=auto resolves to
};

// How googletest shows the parameter.
inline void PrintTo(const Allocator& allocator, std::ostream* out) {
    *out << allocator.name;
}

// Those that Debian ships.
// Debian's build for arm64 follows frame pointers, without the loader.
#if defined(__aarch64__)
inline constexpr Allocator tcmalloc{"tcmalloc", "libtcmalloc.so.4", "tcmalloc", "pass_through"};
#else
inline constexpr Allocator tcmalloc{"tcmalloc", "libtcmalloc.so.4", "tcmalloc", "protect"};
#endif
inline constexpr Allocator allocators[] = {
    tcmalloc,
    {"tcmalloc_minimal", "libtcmalloc_minimal.so.4", "tcmalloc_minimal", "pass_through"},
    {"mimalloc", UNKNOT_MIMALLOC, "mimalloc", "pass_through"},
    {"jemalloc", "libjemalloc.so.2", "jemalloc", "pass_through"},
    {"glibc", "", "glibc", "pass_through"},
};

// Does this system have it?
inline bool is_installed(const Allocator& allocator) {
    return !process::is_missing(allocator.soname);
}

// A program below the build folder, such as "victims/dlclose_frees".
std::string built(const std::string& path);

process::Result run_bare(process::Command command, const Allocator& allocator);

struct ShimmedRun {
    process::Result result;
    // Of the process that was started, not of its children.
    std::string log;
    std::optional<process::ReportLine> report;

    // All that is known of it, for the message of a failed check.
    std::string story() const;
};

// `mode`: a value of UNKNOT_MODE, empty for the default.
ShimmedRun run_with_shim(process::Command command, const Allocator& allocator, const std::string& mode);
// Under libunknot_walks.so instead.
ShimmedRun run_with_walks(process::Command command, const Allocator& allocator);

}  // namespace unknot::preload
