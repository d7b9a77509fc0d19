// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/loaded_objects.h"

#include <dlfcn.h>
#include <string.h>

#include <atomic>

#include "shim/loader/inner_code.h"
#include "shim/loader/loader_lock.h"
#include "shim/loader/native_walk.h"
#include "shim/loader/snapshot_slots.h"
#include "shim/log/stats.h"
#include "shim/system/mapped_memory.h"

namespace unknot {

using namespace snapshot;

constinit LoaderVersion loader_version;
constinit Slot snapshot::slot[slots];
constinit Current snapshot::current;

namespace {

// All that is looked at before the callback gets it. It lies in the object itself, and may reach over one page's end.
bool has_headers(const dl_phdr_info& info) {
    const void* last = info.dlpi_phdr + info.dlpi_phnum - 1;
    return info.dlpi_phnum == 0 || (is_readable(info.dlpi_phdr, true) && is_readable(last, true));
}

std::size_t bytes_of(const dl_phdr_info& info) {
    return sizeof(Entry) + sizeof(Range) + info.dlpi_phnum * sizeof(ElfW(Phdr)) +
           ((strlen(info.dlpi_name) + 8) & ~std::size_t{7});
}

// First pass: how much room is needed, and is anything new?
struct Measure {
    std::size_t bytes = 0;
    std::uint32_t objects = 0;
    std::uint32_t entries = 0;
    std::uint64_t adds = 0;
    std::uint64_t subs = 0;
};

bool is_up_to_date(const Measure& seen) {
    // Relaxed: the only writer is whoever holds the loader's write lock, and that is this thread.
    const int at = current.slot.load(std::memory_order_relaxed);
    return at != no_slot && slot[at].adds.load(std::memory_order_relaxed) == seen.adds &&
           slot[at].subs.load(std::memory_order_relaxed) == seen.subs;
}

bool is_read(const Slot& one) {
    for (const Readers& line : one.readers) {
        if (line.count.load(std::memory_order_seq_cst) != 0) return true;  // seq_cst: invariant (2)
    }
    return false;
}

Slot* unread_slot(std::size_t bytes) {
    const int taken = current.slot.load(std::memory_order_relaxed);
    for (int i = 0; i < static_cast<int>(slots); ++i) {
        if (i == taken || is_read(slot[i])) continue;
        if (slot[i].capacity < bytes) {
            const std::size_t wanted = (2 * bytes + page_multiple - 1) & ~(page_multiple - 1);
            void* memory = raw::reserve(wanted);
            if (memory == nullptr) return nullptr;
            if (!raw::commit(memory, wanted)) {
                raw::release(memory, wanted);
                return nullptr;
            }
            if (slot[i].memory != nullptr) raw::release(slot[i].memory, slot[i].capacity);
            slot[i].memory = static_cast<char*>(memory);
            slot[i].capacity = wanted;
        }
        return &slot[i];
    }
    return nullptr;
}

int measure_one(dl_phdr_info* info, std::size_t, void* data) {
    Measure& measure = *static_cast<Measure*>(data);
    if (is_whole(*info)) {
        measure.bytes += bytes_of(*info);
        ++measure.entries;
    }
    ++measure.objects;
    measure.adds = info->dlpi_adds;
    measure.subs = info->dlpi_subs;
    return 0;
}

struct Copy {
    Entry* next;
    char* rest;
    const Entry* end;
};

int copy_one(dl_phdr_info* info, std::size_t, void* data) {
    Copy& copy = *static_cast<Copy*>(data);
    if (!is_whole(*info)) return 0;
    if (copy.next == copy.end) return 1;  // never seen: the list stands still, and so does what is mapped
    Entry& place = *copy.next++;
    place.original = info->dlpi_phdr;
    dl_phdr_info& entry = place.info;
    entry = *info;
    const std::size_t headers = info->dlpi_phnum * sizeof(ElfW(Phdr));
    entry.dlpi_phdr = static_cast<ElfW(Phdr)*>(memcpy(copy.rest, info->dlpi_phdr, headers));
    copy.rest += headers;
    const std::size_t name = strlen(info->dlpi_name) + 1;
    entry.dlpi_name = static_cast<char*>(memcpy(copy.rest, info->dlpi_name, name));
    copy.rest += (name + 7) & ~std::size_t{7};
    entry.dlpi_tls_data = nullptr;
    const InnerCode what = inner_code_named(entry.dlpi_name);
    if (what != InnerCode::none) note_inner_code(*info, what);
    return 0;
}

Range range_of(const dl_phdr_info& info, std::uint32_t entry) {
    std::uintptr_t first = UINTPTR_MAX;
    std::uintptr_t end = 0;
    for (unsigned i = 0; i < info.dlpi_phnum; ++i) {
        const ElfW(Phdr)& header = info.dlpi_phdr[i];
        if (header.p_type != PT_LOAD) continue;
        const std::uintptr_t start = info.dlpi_addr + header.p_vaddr;
        if (start < first) first = start;
        if (start + header.p_memsz > end) end = start + header.p_memsz;
    }
    return {.start = first, .bytes = end > first ? end - first : 0, .entry = entry};
}

void sift_down(Range* ranges, std::uint32_t at, std::uint32_t count) {
    for (std::uint32_t child = 2 * at + 1; child < count; at = child, child = 2 * at + 1) {
        if (child + 1 < count && ranges[child].start < ranges[child + 1].start) ++child;
        if (ranges[at].start >= ranges[child].start) return;
        const Range smaller = ranges[at];
        ranges[at] = ranges[child];
        ranges[child] = smaller;
    }
}

// Heapsort: everybody waits for the lock meanwhile, and the loader maps thousands of libraries each below the last.
void sort_ranges(const Slot& filled) {
    Range* const ranges = filled.ranges;
    const std::uint32_t count = filled.entry_count;
    for (std::uint32_t i = 0; i < count; ++i) ranges[i] = range_of(filled.entries()[i].info, i);
    for (std::uint32_t i = count / 2; i-- > 0;) sift_down(ranges, i, count);
    for (std::uint32_t last = count; last-- > 1;) {
        const Range highest = ranges[0];
        ranges[0] = ranges[last];
        ranges[last] = highest;
        sift_down(ranges, 0, last);
    }
}

// Fills a slot and makes it current.
void take(const Measure& seen) {
    Slot* to = unread_slot(seen.bytes);
    if (to == nullptr) return;
    to->adds.store(seen.adds, std::memory_order_relaxed);  // Relaxed, all: published below
    to->subs.store(seen.subs, std::memory_order_relaxed);
    to->objects.store(seen.objects, std::memory_order_relaxed);
    Entry* const end = to->entries() + seen.entries;
    to->ranges = reinterpret_cast<Range*>(end);
    Copy copy{.next = to->entries(), .rest = reinterpret_cast<char*>(to->ranges + seen.entries), .end = end};
    begin_noting();
    native_walk(copy_one, &copy);
    end_noting();
    to->entry_count = static_cast<std::uint32_t>(copy.next - to->entries());
    sort_ranges(*to);
    // seq_cst: invariant (2). It is also the release that publishes the copies.
    current.slot.store(static_cast<int>(to - slot), std::memory_order_seq_cst);
    count(unknot_stats.snapshot_generation);
}

// Inside the first callback this thread owns the write lock, which is recursive: the walks made here see the same list.
int refresh_under_lock(dl_phdr_info*, std::size_t, void*) {
    Measure seen;
    native_walk(measure_one, &seen);
    if (!is_up_to_date(seen)) take(seen);
    return 1;
}

// ld.so's list of the first namespace begins here (_dl_ns[0]._ns_loaded, then _ns_nloaded, in struct rtld_global).
struct FirstNamespace {
    const link_map* loaded;
    std::uint32_t count;
};

}  // namespace

void find_version_words() {
    if (loader_locks.write_lock == nullptr) return;
    Measure seen;
    native_walk(measure_one, &seen);
    // _dl_load_adds follows the locks; the TLS lock (2.35 and later) may stand between.
    const pthread_mutex_t* after = loader_locks.write_lock + 1;
    if (is_recursive(*after)) ++after;
    const auto* adds = reinterpret_cast<const std::uint64_t*>(after);
    const auto* first = static_cast<const FirstNamespace*>(loader_locks.rtld_global);
    // Not asked: dlpi_subs, into which go the objects of all namespaces, and those of each but the first as often as it
    // has objects (elf/dl-iteratephdr.c, up to 2.41): an audited process has several from its start.
    const bool found = *adds == seen.adds && first->loaded == first_loaded() && first->count == seen.objects;
    if (found) loader_version = {.adds = adds, .loaded = &first->count};
}

void refresh_snapshot() {
    native_walk(refresh_under_lock, nullptr);
}

bool is_whole(const dl_phdr_info& info) {
    return is_list_trusted() || has_headers(info);
}

// Acquire, though only start asks: whoever is told "yes" may go and read it.
bool has_snapshot() {
    return current.slot.load(std::memory_order_acquire) != no_slot;
}

bool snapshot_is_current() {
    // Acquire: the slot's counters are visible. A slot that is refilled meanwhile gives a wrong answer about a snapshot
    // that is replaced anyway.
    const int at = current.slot.load(std::memory_order_acquire);
    return at != no_slot && is_exact(slot[at]);
}

}  // namespace unknot
