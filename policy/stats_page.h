// SPDX-License-Identifier: Apache-2.0
// The bytes of the statistics page: what a reader in another process finds at the symbol `unknot_stats` of
// libunknot.so. The layout is frozen: fields are appended, never moved; `size` says how many bytes the writer knows.
#pragma once

#include <cstddef>
#include <cstdint>

namespace unknot {

// Every counter, in the order in which it lies in the page. New ones go to the end.
// X(name, unit, help): `unit` is "count" or "bytes"; gauge or counter is told by the kind.
// clang-format off
#define UNKNOT_COUNTERS(X)                                                                                       \
    X(walks,                "count", counter, "dl_iterate_phdr calls (published in batches, so it may lag)")      \
    X(walks_in_allocator,   "count", counter, "walks that began inside the allocator and found the lock busy")    \
    X(walks_from_snapshot,  "count", counter, "walks that found the loader busy and were served from the snapshot")  \
    X(averted,              "count", counter, "deadlocks that would have happened: an allocator walk found the loader lock busy while its owner had diverted") \
    X(diverted,             "count", counter, "allocations served from the arena because the thread owned a loader lock") \
    X(diverted_bytes,       "bytes", counter, "bytes asked for by diverted allocations, counted when their stretch ends") \
    X(deferred,             "count", counter, "frees put off because the thread owned a loader lock")             \
    X(drained,              "count", counter, "deferred frees handed to the real allocator since")                \
    X(forwarded,            "count", counter, "calls under a loader lock that went to the real allocator after all: the guarantee was off for them") \
    X(failed,               "count", counter, "allocations under a loader lock that failed because the arena was full") \
    X(observed,             "count", counter, "calls that protect mode would have diverted or deferred (observe mode)") \
    X(healed,               "count", counter, "walk marks that outlived their walk (exception, longjmp) and were taken back") \
    X(arena_live_blocks,    "count", gauge,   "arena blocks in use")                                              \
    X(arena_live_bytes,     "bytes", gauge,   "bytes of arena blocks in use")                                     \
    X(arena_committed,      "bytes", gauge,   "arena memory that is backed by pages now")                         \
    X(arena_peak,           "bytes", gauge,   "highest arena_committed so far")                                   \
    X(arena_reserved,       "bytes", gauge,   "address space reserved for the arena")                             \
    X(arena_limit,          "bytes", gauge,   "UNKNOT_ARENA_MAX in force")                                        \
    X(chunks_recycled,      "count", counter, "chunks that were emptied and taken back for reuse")                \
    X(large_blocks,         "count", counter, "blocks that got pages of their own")                               \
    X(snapshot_generation,  "count", gauge,   "how many snapshots of the loaded objects have been published") \
    X(locks_renewed,        "count", counter, "write locks given back in the child of a fork, whose owner had stayed in the parent") \
    X(waiting_bytes,        "bytes", gauge,   "bytes of blocks whose free is deferred and not drained yet")       \
    X(over_budget,          "count", counter, "calls under a loader lock that went to the real allocator because their stretch had used up its budget; a stretch that has used it up altogether counts once") \
    X(walks_from_outdated,  "count", counter, "of those from the snapshot: libraries had come or gone since it was taken")
// clang-format on

// Where the answer to "does this thread own a loader lock" comes from.
enum class Probe : std::uint8_t {
    none,         // not decided yet, or not needed (mode off)
    owner_words,  // the loader's own mutexes, calibrated and confirmed
    wrapper,      // calibration failed: only walks through our dl_iterate_phdr are known
};

// What the shim does. `automatic` never stands in the page: it has been resolved to one of the others.
enum class Mode : std::uint8_t { automatic, protect, observe, off, pass_through, walks };

enum class AllocatorKind : std::uint8_t {
    unknown,
    glibc,
    tcmalloc,
    tcmalloc_minimal,
    tcmalloc_debug,
    jemalloc,
    mimalloc,
};

enum class WalkMode : std::uint8_t { native, nonblocking };

// Bits of StatsPage::flags.
enum class StatsFlag : std::uint32_t {
    not_on_path = 1u << 0,     // malloc does not resolve to the shim: the executable defines its own
    wrong_order = 1u << 1,     // an allocator stands before the shim in the preload order
    static_reserve = 1u << 2,  // no address space could be reserved: the arena is the small static one
};

// One place in somebody's code; `count == 0` means an unused record.
struct WitnessRecord {
    std::uint64_t address;  // return address, in the process
    std::uint64_t offset;   // that address minus the load bias of its object
    std::uint64_t count;    // times seen since it has this record
    char object[64];        // file name (no folder) of the object, NUL-terminated, cut on the left if longer
};

inline constexpr std::size_t witness_records = 16;

struct StatsPage {
    char magic[8];          // "UNKNOT\0\1"
    std::uint32_t version;  // of the layout: 1
    std::uint32_t size;     // bytes of this struct that the writer knows
    std::uint32_t pid;      // as the writer sees it (its own PID namespace); 0 until the shim has started
    std::uint32_t flags;    // StatsFlag bits
    Mode mode;              // in force now
    Probe probe;
    AllocatorKind allocator;
    WalkMode walk_mode;
    std::uint32_t counters;  // how many of the following counters the writer has
    char library_version[16];
    std::uint64_t reserved_[2];
#define UNKNOT_FIELD(name, unit, kind, help) std::uint64_t name;
    UNKNOT_COUNTERS(UNKNOT_FIELD)
#undef UNKNOT_FIELD
    // Room for counters yet to come, so that what follows stays where it is.
    std::uint64_t spare_[64 - 25];
    // Who allocated or freed while it owned a loader lock. What `diverted` and `deferred` count; in observe mode only
    // under the write lock, which is the one that makes an edge (L -> M).
    WitnessRecord under_loader_lock[witness_records];
    // Observe mode: who walked the loaded objects from inside the allocator (M -> L).
    WitnessRecord inside_allocator[witness_records];
};

inline constexpr char stats_magic[8] = {'U', 'N', 'K', 'N', 'O', 'T', '\0', '\1'};
inline constexpr std::uint32_t stats_version = 1;

#define UNKNOT_COUNT_ONE(name, unit, kind, help) +1
inline constexpr std::uint32_t stats_counters = 0 UNKNOT_COUNTERS(UNKNOT_COUNT_ONE);
#undef UNKNOT_COUNT_ONE

static_assert(stats_counters == 25);
static_assert(offsetof(StatsPage, magic) == 0);
static_assert(offsetof(StatsPage, version) == 8);
static_assert(offsetof(StatsPage, size) == 12);
static_assert(offsetof(StatsPage, pid) == 16);
static_assert(offsetof(StatsPage, flags) == 20);
static_assert(offsetof(StatsPage, mode) == 24);
static_assert(offsetof(StatsPage, counters) == 28);
static_assert(offsetof(StatsPage, walks) == 64);
static_assert(offsetof(StatsPage, under_loader_lock) == 64 + 64 * 8);
static_assert(offsetof(StatsPage, inside_allocator) == 64 + 64 * 8 + 16 * sizeof(WitnessRecord));
static_assert(sizeof(WitnessRecord) == 88);
static_assert(sizeof(StatsPage) <= 4096);

}  // namespace unknot
