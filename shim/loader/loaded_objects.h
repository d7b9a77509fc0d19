// SPDX-License-Identifier: Apache-2.0
// A snapshot of the loaded objects, for unwinders, and for walks from inside the allocator that find the loader lock
// busy: copies of every dl_phdr_info, of the program headers and of the names, so that reading it touches no memory of
// the loader.
//
// Thread safety: one writer at a time (it holds the loader's write lock), any number of readers, in signal handlers
// and in the child of a fork too. A few fixed slots, so memory is bounded however often libraries come and go.
// (1) `current` names the only slot that new readers use. The writer fills another slot, one that nobody reads, and
//     then makes it current.
// (2) A reader enters a slot (+ 1 in its thread's line of readers) and then looks whether it is still current; if not
//     it leaves and starts again. The writer looks for readers only after it has made another slot current. Both orders
//     are seq_cst, so one of the two sees the other: no slot is filled while it is read.
// (3) A slot whose reader never came back (its callback jumped out) is not used again. With no slot left the snapshot
//     grows old; it never breaks.
// (4) A snapshot is taken only by a thread that owns the write lock for that alone: not where it owned it before. Else
//     this might be a signal handler inside the edit of ld.so's that it has interrupted, or inside the writer.
// (5) While the loader says that its list is not whole, no entry of it is believed before the kernel has found its
//     headers: ld.so unmaps an object before it takes it from the list (elf/dl-close.c, DL_UNMAP), and in the child of
//     a fork beside that moment it stays there for ever.
//
// What an unwinder does with an entry that has been unloaded since: it looks for the object around a return address of
// its own stack. Code that stands on a live stack is loaded (or the program is broken without us), so the entry that
// matches is either that object itself, mapped, or an older one whose place it took over. Against the second, a walk of
// an outdated snapshot leaves out every entry whose program headers are no longer at their old place. What is left is
// an unwinder that has lost its way, asks about a word that is no return address, and hits a library which goes away
// between our look and its own: libunwind's own cache of such answers takes the same chance in every process.
//
// Each new snapshot also tells inner_code which unwinders are loaded now.
#pragma once

#include <link.h>

#include "shim/allocator/real_allocator.h"
#include "shim/loader/fork_handlers.h"
#include "shim/system/libc.h"
#include "shim/system/platform.h"

namespace [[gnu::visibility("hidden")]] unknot {

// The loader's own counters (struct rtld_global): _dl_load_adds, and _ns_nloaded of the first namespace. Together they
// name one list of objects: what is unloaded lowers the second, what is loaded raises the first.
struct alignas(cache_line) LoaderVersion {
    const std::uint64_t* adds = nullptr;
    const std::uint32_t* loaded = nullptr;
};
static_assert(sizeof(LoaderVersion) == cache_line);  // every walk reads it: nothing that is written lies beside it
extern constinit LoaderVersion loader_version;

// Finds the counters, by value: while they match the snapshot's, it is exact. Where they are not found the snapshot
// counts as outdated always.
void find_version_words();

// Takes a new snapshot if the loaded objects have changed since the last one. Walks for real, so it may wait for the
// loader lock: not inside the allocator, unless this thread has taken the lock for it. (4): not where it owned it
// before.
void refresh_snapshot();

// May every entry of the loader's list be believed? (5)
inline bool is_list_trusted() {
    return list_is_consistent() && !list_in_doubt();
}

// Inside a callback of libc's: can the headers of this object be read? (5)
bool is_whole(const dl_phdr_info& info);

bool has_snapshot();

// Have the loaded objects stayed the same since the snapshot was taken? Lock-free. Between ld.so's unmapping of an
// object and its taking it from the list the answer is still yes: no code of that object stands on a live stack.
bool snapshot_is_current();

// Walks the snapshot as dl_iterate_phdr walks the objects, without a lock; false: there is none. `size` in the callback
// is that of the structure before glibc 2.4, without the counters: libgcc's unwinder then leaves its cache alone, which
// is safe only under the loader lock (unwind-dw2-fde-dip.c, "check_cache && size >= sizeof (struct
// ext_dl_phdr_info)"). dlpi_tls_data is NULL: it would be another thread's.
bool walk_snapshot(int (*callback)(dl_phdr_info*, std::size_t, void*), void* data, int& result);

// The same, of an exact snapshot alone, and beginning with the object around `sought`, if there is one: there an
// unwinder's callback ends the walk, however many objects there are. False: the snapshot is not exact, or it did not
// stay so and nobody's result was other than 0.
bool walk_exact_snapshot(int (*callback)(dl_phdr_info*, std::size_t, void*), void* data, const void* sought,
                         int& result);

// In the child of a fork: the readers of the other threads are gone, and so is the writer.
void forget_other_readers();

}  // namespace unknot
