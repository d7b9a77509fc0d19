// SPDX-License-Identifier: Apache-2.0
// The snapshot's readers. What an unwinder finds at once is the way of every sample and of every throw (before glibc
// 2.35), so it is counted in instructions (a test).
#include <string.h>

#include "shim/loader/loader_lock.h"
#include "shim/loader/snapshot_slots.h"
#include "shim/system/mapped_memory.h"

namespace unknot {

using namespace snapshot;

namespace {

using Callback = int (*)(dl_phdr_info*, std::size_t, void*);

constexpr std::size_t size_before_2_4 = offsetof(dl_phdr_info, dlpi_adds);

// Where the code lies, its unwind table and its dynamic section, and how far each reaches: what an unwinder takes. (The
// lower halves: no object is of 4 GiB.) Few words, because each is a question, and a sample must end before the next.
bool is_same_header(const ElfW(Phdr) & copied, const ElfW(Phdr) & place) {
    auto low = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    const bool is_code = copied.p_type == PT_LOAD && (copied.p_flags & PF_X) != 0;
    if (!is_code && copied.p_type != PT_GNU_EH_FRAME && copied.p_type != PT_DYNAMIC) return true;
    return word_at(&place.p_vaddr, low(copied.p_vaddr)) == Word::same &&
           word_at(&place.p_memsz, low(copied.p_memsz)) == Word::same;
}

// An object that took over the place of one that was unloaded must not be taken for it: are the program headers that
// the snapshot has copied still to be read at their old place? The kernel compares: the place may be gone at any time,
// unless it is this thread that owns the load lock, under which libraries are unmapped.
bool still_there(const Entry& entry, bool nobody_unmaps) {
    const auto* place = static_cast<const ElfW(Phdr)*>(entry.original);
    const std::size_t headers = entry.info.dlpi_phnum;
    if (nobody_unmaps) {
        return headers == 0 || (is_readable(place, false) && is_readable(place + headers - 1, false) &&
                                memcmp(place, entry.info.dlpi_phdr, headers * sizeof *place) == 0);
    }
    for (std::size_t i = 0; i < headers; ++i) {
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

// Stands in a slot for as long as it lives, if there is one.
class Reader {
  public:
    explicit Reader(const ThreadState& thread) {
        const std::size_t line = static_cast<unsigned>(thread.id) % reader_lines;
        while (true) {
            // Acquire: what the writer copied is visible.
            const int at = current.slot.load(std::memory_order_acquire);
            if (at == no_slot) return;
            readers_ = &slot[at].readers[line].count;
            readers_->fetch_add(1, std::memory_order_seq_cst);  // seq_cst, both: invariant (2)
            if (current.slot.load(std::memory_order_seq_cst) == at) {
                slot_ = &slot[at];
                return;
            }
            readers_->fetch_sub(1, std::memory_order_relaxed);  // Relaxed: nothing of it was read
        }
    }
    ~Reader() {
        // Release pairs with the writer's look at the readers.
        if (slot_ != nullptr) readers_->fetch_sub(1, std::memory_order_release);
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    const Slot* slot_read() const { return slot_; }

  private:
    const Slot* slot_ = nullptr;
    std::atomic<std::uint32_t>* readers_ = nullptr;
};

// The entry of the object that `sought` lies in, if there is one; objects do not overlap.
inline const Entry* entry_around(const Slot& from, const void* sought) {
    const auto address = reinterpret_cast<std::uintptr_t>(sought);
    if (from.entry_count == 0) return nullptr;
    const Range* range = last_before(from.ranges, from.entry_count, address);
    return address - range->start < range->bytes ? &from.entries()[range->entry] : nullptr;
}

inline int ask(Callback callback, const Entry& entry, void* data) {
    dl_phdr_info info = entry.info;
    return callback(&info, size_before_2_4, data);
}

[[gnu::noinline]] int ask_the_others(const Slot& from, const Entry* asked, Callback callback, void* data) {
    int result = 0;
    for (std::uint32_t i = 0; i < from.entry_count && result == 0; ++i) {
        const Entry& entry = from.entries()[i];
        if (&entry != asked) result = ask(callback, entry, data);
    }
    return result;
}

// The same, of what is still there.
int ask_each_in_doubt(const Slot& from, Callback callback, void* data) {
    // Relaxed: only this thread stores this thread's id there.
    const int load_owner = __atomic_load_n(loader_locks.load_owner, __ATOMIC_RELAXED);
    const bool nobody_unmaps = load_owner != nobody && load_owner == thread_state.id;
    int result = 0;
    for (std::uint32_t i = 0; i < from.entry_count && result == 0; ++i) {
        const Entry& entry = from.entries()[i];
        if (still_there(entry, nobody_unmaps)) result = ask(callback, entry, data);
    }
    return result;
}

}  // namespace

bool walk_exact_snapshot(Callback callback, void* data, const void* sought, int& result) {
    const Reader reader(thread_state);
    const Slot* from = reader.slot_read();
    if (from == nullptr || !is_exact(*from)) return false;
    const Entry* first = entry_around(*from, sought);
    result = first != nullptr ? ask(callback, *first, data) : 0;
    if (result != 0) return true;
    result = ask_the_others(*from, first, callback, data);
    return result != 0 || is_exact(*from);
}

bool walk_snapshot(Callback callback, void* data, int& result) {
    const Reader reader(thread_state);
    const Slot* from = reader.slot_read();
    if (from == nullptr) return false;
    // Of this slot, not of the current one: a newer snapshot may have been taken meanwhile.
    result = nothing_unloaded(*from) ? ask_the_others(*from, nullptr, callback, data)
                                     : ask_each_in_doubt(*from, callback, data);
    return true;
}

void forget_other_readers() {
    // Relaxed: there is no other thread.
    for (Slot& one : slot) {
        for (Readers& line : one.readers) line.count.store(0, std::memory_order_relaxed);
    }
}

}  // namespace unknot
