// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/inner_code.h"

#include <atomic>

#include "shim/system/dynamic_symbols.h"
#include "shim/system/platform.h"
#include "shim/system/text.h"

namespace unknot {

namespace {

struct Range {
    std::atomic<std::uintptr_t> start{0};
    std::atomic<std::size_t> bytes{0};  // 0: free
    std::atomic<InnerCode> what{InnerCode::none};
    bool noted = false;  // the writer's
};

// Read by every walk that is not plain, written with each snapshot: no line of it is anybody else's.
constexpr std::size_t ranges_most = 128;
struct alignas(cache_line) Table {
    Range ranges[ranges_most];
    // Entries beyond were never used. Never shrinks.
    std::atomic<std::size_t> used{0};
    std::atomic<std::uint32_t> generation{1};
    // Nothing lies outside: most words of a stack are told by that. They never come closer to each other.
    std::atomic<std::uintptr_t> lowest{UINTPTR_MAX};
    std::atomic<std::uintptr_t> highest{0};
};
static_assert(sizeof(Table) % cache_line == 0);
constinit Table table;
constinit Range (&ranges)[ranges_most] = table.ranges;
constinit std::atomic<std::size_t>& used = table.used;
constinit std::atomic<std::uint32_t>& generation = table.generation;

constexpr const char* throwing_names[] = {"_Unwind_RaiseException", "_Unwind_Resume", "_Unwind_Resume_or_Rethrow",
                                          "_Unwind_ForcedUnwind"};

// Relaxed loads here: only writers change entries, and the loader's lock lets one in at a time.
void note_range(std::uintptr_t start, std::size_t bytes, InnerCode what) {
    if (bytes == 0) return;
    Range* place = nullptr;
    for (Range& range : ranges) {
        const std::size_t taken = range.bytes.load(std::memory_order_relaxed);
        if (taken == bytes && range.start.load(std::memory_order_relaxed) == start) {
            range.noted = true;
            return;
        }
        if (taken == 0 && place == nullptr) place = &range;
    }
    if (place == nullptr) return;
    // Relaxed, all: who does not see the new bounds does not see the new range.
    if (start < table.lowest.load(std::memory_order_relaxed)) table.lowest.store(start, std::memory_order_relaxed);
    if (start + bytes > table.highest.load(std::memory_order_relaxed)) {
        table.highest.store(start + bytes, std::memory_order_relaxed);
    }
    // Release, all three: a reader who sees one of them sees what was stored before it, down to the zero: (1).
    place->start.store(start, std::memory_order_release);
    place->what.store(what, std::memory_order_release);
    place->noted = true;
    place->bytes.store(bytes, std::memory_order_release);
    const auto next = static_cast<std::size_t>(place - ranges) + 1;
    if (next > used.load(std::memory_order_relaxed)) used.store(next, std::memory_order_release);
}

}  // namespace

InnerCode inner_code_at(const void* address) {
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    // Relaxed, both: as above.
    if (at < table.lowest.load(std::memory_order_relaxed) || at >= table.highest.load(std::memory_order_relaxed)) {
        return InnerCode::none;
    }
    InnerCode narrowest = InnerCode::none;
    const std::size_t n = used.load(std::memory_order_acquire);  // pairs with the release in note_range
    for (std::size_t i = 0; i < n; ++i) {
        const Range& range = ranges[i];
        // Acquire, all: pair with the stores in note_range, so that the second look at `bytes` is at least as new as
        // the rest: (1).
        std::size_t bytes = range.bytes.load(std::memory_order_acquire);
        while (bytes != 0) {
            const bool inside = at - range.start.load(std::memory_order_acquire) < bytes;
            const InnerCode what = range.what.load(std::memory_order_acquire);
            const std::size_t again = range.bytes.load(std::memory_order_acquire);
            if (again == bytes) {
                if (inside && what > narrowest) narrowest = what;
                break;
            }
            bytes = again;
        }
    }
    return narrowest;
}

bool in_one_unwinder(const void* one, const void* other) {
    const std::size_t n = used.load(std::memory_order_acquire);  // as above
    for (std::size_t i = 0; i < n; ++i) {
        const Range& range = ranges[i];
        // Acquire, all: (1). A range that changes under our hands answers no.
        const std::size_t bytes = range.bytes.load(std::memory_order_acquire);
        const std::uintptr_t start = range.start.load(std::memory_order_acquire);
        if (range.what.load(std::memory_order_acquire) != InnerCode::unwinder) continue;
        if (range.bytes.load(std::memory_order_acquire) != bytes) continue;
        if (reinterpret_cast<std::uintptr_t>(one) - start < bytes &&
            reinterpret_cast<std::uintptr_t>(other) - start < bytes) {
            return true;
        }
    }
    return false;
}

// Acquire pairs with the release in end_noting: who sees the new generation sees the new ranges.
std::uint32_t inner_code_generation() {
    return generation.load(std::memory_order_acquire);
}

InnerCode inner_code_named(const char* path) {
    const char* name = base_name(path);
    if (starts_with(name, "libunwind") || starts_with(name, "libgcc_s.so")) return InnerCode::unwinder;
    if (starts_with(name, "libc.so") || starts_with(name, "ld-linux")) return InnerCode::libc;
    return InnerCode::none;
}

void note_inner_code(const dl_phdr_info& object, InnerCode what) {
    for (unsigned i = 0; i < object.dlpi_phnum; ++i) {
        const ElfW(Phdr)& header = object.dlpi_phdr[i];
        if (header.p_type != PT_LOAD || (header.p_flags & PF_X) == 0) continue;
        note_range(object.dlpi_addr + header.p_vaddr, header.p_memsz, what);
    }
    if (what != InnerCode::unwinder) return;
    for (const char* name : throwing_names) {
        const DynamicSymbol function = find_dynamic_symbol(object, name);
        if (function.bytes == 0) continue;
        // Without its first byte, behind which no call stands: the loader leaves that address on stacks when it binds a
        // name, and nobody throws there.
        note_range(function.start + 1, function.bytes - 1, InnerCode::throwing);
    }
}

void note_allocation_functions(const dl_phdr_info& object) {
#define UNKNOT_NOTE(id, symbol, ...)                                        \
    {                                                                       \
        const DynamicSymbol function = find_dynamic_symbol(object, symbol); \
        note_range(function.start, function.bytes, InnerCode::allocator);   \
    }
#define UNKNOT_ALLOCATION UNKNOT_NOTE
#define UNKNOT_ALLOCATION_INTO UNKNOT_NOTE
#define UNKNOT_REALLOCATION UNKNOT_NOTE
#define UNKNOT_DEALLOCATION UNKNOT_NOTE
#define UNKNOT_QUERY UNKNOT_NOTE
#include "shim/allocator/entry_points.inc"
#undef UNKNOT_NOTE
}

void begin_noting() {
    // The allocator is never unloaded, and only start-up can tell which object it is.
    for (Range& range : ranges) range.noted = range.what.load(std::memory_order_relaxed) == InnerCode::allocator;
}

void end_noting() {
    for (Range& range : ranges) {
        if (!range.noted) range.bytes.store(0, std::memory_order_release);
    }
    generation.fetch_add(1, std::memory_order_release);
}

}  // namespace unknot
