// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/loaded_objects.h"

#include <dlfcn.h>
#include <string.h>

#include <atomic>

#include "shim/loader/fork_handlers.h"
#include "shim/loader/inner_code.h"
#include "shim/loader/loader_lock.h"
#include "shim/loader/native_walk.h"
#include "shim/log/stats.h"
#include "shim/system/libc.h"
#include "shim/system/mapped_memory.h"

namespace unknot {

constinit LoaderVersion loader_version;

namespace {

constexpr std::size_t slots = 6;
constexpr int no_slot = -1;
constexpr std::size_t size_before_2_4 = offsetof(dl_phdr_info, dlpi_adds);

struct Entry {
    dl_phdr_info info;     // its headers and its name are copies
    const void* original;  // where the headers were
};

// In a slot's memory: an array of entries from the front, headers and names behind it.
struct Slot {
    alignas(cache_line) char* memory = nullptr;
    std::size_t capacity = 0;
    // When it was taken: dlpi_adds, dlpi_subs, and how many objects the loader had. Atomic because snapshot_is_current
    // reads them without entering the slot.
    std::atomic<std::uint64_t> adds{0};
    std::atomic<std::uint64_t> subs{0};
    std::atomic<std::uint32_t> objects{0};
    std::uint32_t entry_count = 0;  // fewer where the loader had left something half removed
    // Every reader writes here, and who only looks whether the snapshot is current does not want that line.
    alignas(cache_line) std::atomic<std::uint32_t> readers{0};

    Entry* entries() const { return reinterpret_cast<Entry*>(memory); }
};
static_assert(offsetof(Slot, readers) - offsetof(Slot, memory) == cache_line && sizeof(Slot) == 2 * cache_line);

// Read by every walk that is not plain; written with each snapshot.
struct alignas(cache_line) Current {
    std::atomic<int> slot{no_slot};
};

constinit Slot slot[slots];
constinit Current now_current;
constinit std::atomic<int>& current = now_current.slot;

// All that is looked at before the callback gets it. It lies in the object itself, and may reach over one page's end.
bool has_headers(const dl_phdr_info& info) {
    const void* last = info.dlpi_phdr + info.dlpi_phnum - 1;
    return info.dlpi_phnum == 0 || (is_readable(info.dlpi_phdr, true) && is_readable(last, true));
}

std::size_t bytes_of(const dl_phdr_info& info) {
    return sizeof(Entry) + info.dlpi_phnum * sizeof(ElfW(Phdr)) + ((strlen(info.dlpi_name) + 8) & ~std::size_t{7});
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
    const int now = current.load(std::memory_order_relaxed);
    return now != no_slot && slot[now].adds.load(std::memory_order_relaxed) == seen.adds &&
           slot[now].subs.load(std::memory_order_relaxed) == seen.subs;
}

// Do the loader's counters say that nothing has changed since this snapshot was taken? Relaxed: they change under the
// loader's write lock, so whoever does not own it gets an answer that may be old as soon as it is there.
bool is_exact(const Slot& taken) {
    if (loader_version.adds == nullptr) return false;
    return __atomic_load_n(loader_version.adds, __ATOMIC_RELAXED) == taken.adds.load(std::memory_order_relaxed) &&
           __atomic_load_n(loader_version.loaded, __ATOMIC_RELAXED) == taken.objects.load(std::memory_order_relaxed);
}

Slot* unread_slot(std::size_t bytes) {
    const int now = current.load(std::memory_order_relaxed);
    for (int i = 0; i < static_cast<int>(slots); ++i) {
        // seq_cst: invariant (2).
        if (i == now || slot[i].readers.load(std::memory_order_seq_cst) != 0) continue;
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

// Fills a slot and makes it current.
void take(const Measure& seen) {
    Slot* to = unread_slot(seen.bytes);
    if (to == nullptr) return;
    to->adds.store(seen.adds, std::memory_order_relaxed);  // Relaxed, all: published below
    to->subs.store(seen.subs, std::memory_order_relaxed);
    to->objects.store(seen.objects, std::memory_order_relaxed);
    Entry* const end = to->entries() + seen.entries;
    Copy copy{.next = to->entries(), .rest = reinterpret_cast<char*>(end), .end = end};
    begin_noting();
    native_walk(copy_one, &copy);
    end_noting();
    to->entry_count = static_cast<std::uint32_t>(copy.next - to->entries());
    // seq_cst: invariant (2). It is also the release that publishes the copies.
    current.store(static_cast<int>(to - slot), std::memory_order_seq_cst);
    count(unknot_stats.snapshot_generation);
}

// Inside the first callback this thread owns the write lock, which is recursive: the walks made here see the same list.
int refresh_under_lock(dl_phdr_info*, std::size_t, void*) {
    Measure seen;
    native_walk(measure_one, &seen);
    if (!is_up_to_date(seen)) take(seen);
    return 1;
}

// What an unwinder takes from a header: the kind, where it lies, how far it reaches. The upper halves follow.
bool is_same_header(const ElfW(Phdr) & copied, const ElfW(Phdr) & place) {
    auto low = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    if (word_at(&place.p_type, copied.p_type) != Word::same) return false;
    if (copied.p_type != PT_LOAD && copied.p_type != PT_GNU_EH_FRAME && copied.p_type != PT_DYNAMIC) return true;
    return word_at(&place.p_vaddr, low(copied.p_vaddr)) == Word::same &&
           word_at(&place.p_memsz, low(copied.p_memsz)) == Word::same;
}

// An object that took over the place of one that was unloaded must not be taken for it: are the program headers that
// the snapshot has copied still to be read at their old place? The kernel compares: the place may be gone.
bool still_there(const Entry& entry) {
    const auto* place = static_cast<const ElfW(Phdr)*>(entry.original);
    for (unsigned i = 0; i < entry.info.dlpi_phnum; ++i) {
        if (!is_same_header(entry.info.dlpi_phdr[i], place[i])) return false;
    }
    return true;
}

// Has anything been unloaded since? What was loaded has raised both counters by the same.
bool nothing_unloaded(const Slot& taken) {
    if (loader_version.adds == nullptr) return false;
    const std::uint64_t added =
        __atomic_load_n(loader_version.adds, __ATOMIC_RELAXED) - taken.adds.load(std::memory_order_relaxed);
    const std::uint32_t more =
        __atomic_load_n(loader_version.loaded, __ATOMIC_RELAXED) - taken.objects.load(std::memory_order_relaxed);
    return added == more;
}

const Slot* enter_slot(int& at) {
    while (true) {
        // Acquire: what the writer copied is visible.
        at = current.load(std::memory_order_acquire);
        if (at == no_slot) return nullptr;
        slot[at].readers.fetch_add(1, std::memory_order_seq_cst);  // seq_cst, both: invariant (2)
        if (current.load(std::memory_order_seq_cst) == at) return &slot[at];
        slot[at].readers.fetch_sub(1, std::memory_order_relaxed);
    }
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

bool is_list_trusted() {
    return list_is_consistent() && !list_in_doubt();
}

bool is_whole(const dl_phdr_info& info) {
    return is_list_trusted() || has_headers(info);
}

// Acquire, though only start asks: whoever is told "yes" may go and read it.
bool has_snapshot() {
    return current.load(std::memory_order_acquire) != no_slot;
}

bool snapshot_is_current() {
    // Acquire: the slot's counters are visible. A slot that is refilled meanwhile gives a wrong answer about a snapshot
    // that is replaced anyway.
    const int now = current.load(std::memory_order_acquire);
    return now != no_slot && is_exact(slot[now]);
}

bool walk_snapshot(int (*callback)(dl_phdr_info*, std::size_t, void*), void* data, int& result) {
    int at = no_slot;
    const Slot* from = enter_slot(at);
    if (from == nullptr) return false;
    // Of this slot, not of the current one: a newer snapshot may have been taken meanwhile.
    const bool trusted = nothing_unloaded(*from);
    result = 0;
    for (std::uint32_t i = 0; i < from->entry_count && result == 0; ++i) {
        const Entry& entry = from->entries()[i];
        if (!trusted && !still_there(entry)) continue;
        dl_phdr_info info = entry.info;
        result = callback(&info, size_before_2_4, data);
    }
    slot[at].readers.fetch_sub(1, std::memory_order_release);  // pairs with the writer's look at readers
    return true;
}

void forget_other_readers() {
    // Relaxed: there is no other thread.
    for (Slot& one : slot) one.readers.store(0, std::memory_order_relaxed);
}

}  // namespace unknot
