// SPDX-License-Identifier: Apache-2.0
// Where the snapshot lies: what its writer (loaded_objects.cpp) and its readers (snapshot_walk.cpp) share, and nobody
// else looks at. The invariants stand in loaded_objects.h.
#pragma once

#include <link.h>

#include <atomic>

#include "shim/loader/loaded_objects.h"

namespace [[gnu::visibility("hidden")]] unknot {
namespace snapshot {

inline constexpr std::size_t slots = 6;
inline constexpr int no_slot = -1;

struct Entry {
    dl_phdr_info info;     // its headers and its name are copies
    const void* original;  // where the headers were
};

// Where an object lies, first segment to last.
struct Range {
    std::uintptr_t start;
    std::size_t bytes;
    std::uint32_t entry;
};

// Threads that read at the same time write to different lines, as far as there are any.
constexpr std::size_t reader_lines = 16;
struct alignas(cache_line) Readers {
    std::atomic<std::uint32_t> count{0};
};

// In a slot's memory: an array of entries from the front, an array of ranges in the order of their addresses, headers
// and names behind them.
struct Slot {
    alignas(cache_line) char* memory = nullptr;
    std::size_t capacity = 0;
    // When it was taken: dlpi_adds, dlpi_subs, and how many objects the loader had. Atomic because snapshot_is_current
    // reads them without entering the slot.
    std::atomic<std::uint64_t> adds{0};
    std::atomic<std::uint64_t> subs{0};
    std::atomic<std::uint32_t> objects{0};
    std::uint32_t entry_count = 0;  // fewer where the loader had left something half removed
    Range* ranges = nullptr;        // one an entry
    // Who only looks whether the snapshot is current does not want these lines.
    Readers readers[reader_lines];

    Entry* entries() const { return reinterpret_cast<Entry*>(memory); }
};
static_assert(offsetof(Slot, readers) - offsetof(Slot, memory) == cache_line);

// Read by every walk that is not plain; written with each snapshot.
struct alignas(cache_line) Current {
    std::atomic<int> slot{no_slot};
};

extern constinit Slot slot[slots];
extern constinit Current current;

// Do the loader's counters say that nothing has changed since this snapshot was taken? Relaxed: they change under the
// loader's write lock, so whoever does not own it gets an answer that may be old as soon as it is there.
inline bool is_exact(const Slot& taken) {
    if (loader_version.adds == nullptr) return false;
    return __atomic_load_n(loader_version.adds, __ATOMIC_RELAXED) == taken.adds.load(std::memory_order_relaxed) &&
           __atomic_load_n(loader_version.loaded, __ATOMIC_RELAXED) == taken.objects.load(std::memory_order_relaxed);
}

// The last of `count` ranges, one at least, that does not begin behind `address`; the first if there is none. Without
// branches: which half it is nobody can guess.
inline Range* last_before(Range* ranges, std::uint32_t count, std::uintptr_t address) {
    while (count > 1) {
        const std::uint32_t half = count / 2;
        ranges = ranges[half].start <= address ? ranges + half : ranges;
        count -= half;
    }
    return ranges;
}

}  // namespace snapshot
}  // namespace unknot
