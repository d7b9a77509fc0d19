// SPDX-License-Identifier: Apache-2.0
// From evidence (which object defines malloc, which vendor symbols it has, how it takes stack traces) to: which
// allocator this is, and whether a thread inside its malloc may ask for a loader lock. Pure; no libc.
#pragma once

#include <cstdint>

#include "policy/stats_page.h"

namespace unknot {

// How the allocator records a stack trace. gperftools picks one by TCMALLOC_STACKTRACE_METHOD, or a default that its
// build chose (Debian: libunwind on amd64, generic_fp on arm64); jemalloc's profiler has the one it was configured with
// (Debian: libgcc).
enum class StackMethod : std::uint8_t { none, unknown, libunwind, libgcc, generic_fp };

struct AllocatorEvidence {
    // Facts about the object that defines the malloc in use.
    bool is_libc = false;        // it is libc itself
    bool has_tc_malloc = false;  // exports tc_malloc (gperftools)
    bool has_growth_stacks =
        false;  // needs libunwind, or exports HeapProfilerStart/MallocExtension_ReadHeapGrowth...: a full build
    bool is_debug_build = false;  // libtcmalloc*_debug
    bool has_mallocx = false;     // exports mallocx (jemalloc)
    bool has_mi_malloc = false;   // exports mi_malloc and mi_version (mimalloc; heaptrack has the former alone)
    bool knows_loader = true;     // false: another libc than glibc; nothing is protected there
    // Facts about how it unwinds.
    StackMethod stack_method = StackMethod::unknown;
    bool prof_enabled = false;                   // jemalloc: opt.prof
    unsigned glibc_minor = 0;                    // 36 for glibc 2.36; 0: another libc
    bool unwind_backtrace_is_libunwind = false;  // _Unwind_Backtrace binds to nongnu libunwind, which exports it too
    bool libgcc_walks = false;                   // it binds to a libgcc that calls dl_iterate_phdr
};

constexpr AllocatorKind identify(const AllocatorEvidence& seen) {
    if (seen.is_libc) return seen.knows_loader ? AllocatorKind::glibc : AllocatorKind::unknown;
    if (seen.has_mi_malloc) return AllocatorKind::mimalloc;
    if (seen.has_tc_malloc) {
        // tcmalloc_minimal_debug takes no stack traces either.
        if (!seen.has_growth_stacks) return AllocatorKind::tcmalloc_minimal;
        return seen.is_debug_build ? AllocatorKind::tcmalloc_debug : AllocatorKind::tcmalloc;
    }
    if (seen.has_mallocx) return AllocatorKind::jemalloc;
    return AllocatorKind::unknown;
}

// Does a stack trace by this method ask for a loader lock?
constexpr bool method_asks_for_loader_lock(const AllocatorEvidence& seen) {
    switch (seen.stack_method) {
        case StackMethod::none:
        case StackMethod::generic_fp:
            return false;
        case StackMethod::libgcc:
            // libgcc >= 12 on glibc >= 2.35 uses the lock-free _dl_find_object; before that dl_iterate_phdr.
            return seen.glibc_minor < 35 || seen.libgcc_walks || seen.unwind_backtrace_is_libunwind;
        case StackMethod::libunwind:  // nongnu libunwind calls dl_iterate_phdr in every version
        case StackMethod::unknown:
            return true;
    }
    return true;
}

// Can a thread inside this allocator wait for a loader lock (edge M -> L)? Unknown allocators: assume so.
constexpr bool unwinds_inside_malloc(const AllocatorEvidence& seen) {
    switch (identify(seen)) {
        case AllocatorKind::glibc:
        case AllocatorKind::mimalloc:
        case AllocatorKind::tcmalloc_minimal:
            return false;
        case AllocatorKind::jemalloc:
            // Its profiler unwinds before it takes a lock of its own, and so waits for the loader exactly where its
            // unwinder does (jemalloc 5.3.0, src/prof.c: prof_tctx_create). prof:false never unwinds.
            return seen.prof_enabled && method_asks_for_loader_lock(seen);
        case AllocatorKind::tcmalloc:
        case AllocatorKind::tcmalloc_debug:
            return method_asks_for_loader_lock(seen);
        case AllocatorKind::unknown:
            return true;
    }
    return true;
}

// UNKNOT_MODE=auto, resolved; and what is asked for, where it can not be had.
constexpr Mode resolve_mode(Mode asked, const AllocatorEvidence& seen) {
    if (!seen.knows_loader && asked != Mode::off) return Mode::pass_through;
    if (asked != Mode::automatic) return asked;
    return unwinds_inside_malloc(seen) ? Mode::protect : Mode::pass_through;
}

static_assert(identify({.is_libc = true}) == AllocatorKind::glibc);
static_assert(resolve_mode(Mode::automatic, {}) == Mode::protect);
static_assert(resolve_mode(Mode::automatic, {.is_libc = true}) == Mode::pass_through);
static_assert(resolve_mode(Mode::protect, {.knows_loader = false}) == Mode::pass_through);

}  // namespace unknot
