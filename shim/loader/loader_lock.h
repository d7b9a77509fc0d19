// SPDX-License-Identifier: Apache-2.0
// Does this thread own a loader lock? Answered from the owner words of the loader's own mutexes, which are found by
// calibration at start, never by an offset from a table; dlopen, dlclose and dlsym stay unwrapped, so RUNPATH, $ORIGIN
// and namespaces work as without the shim.
//
// The locks (glibc, struct rtld_global in ld.so, all recursive pthread mutexes, one next to the other):
//   _dl_load_lock        dlopen, dlclose, dlsym, dladdr, constructors run by dlopen
//   _dl_load_write_lock  dl_iterate_phdr during every callback; dlopen and dlclose take it only under _dl_load_lock
//   _dl_load_tls_lock    from 2.35, not asked for: it is held without _dl_load_lock only by pthread_create and by the
//                        slow path of dynamic TLS, for the length of a list walk. There malloc is entered only to grow
//                        a thread's table of TLS blocks, and no allocator or unwinder takes this lock inside malloc
//                        once its own TLS exists (dl_iterate_phdr and _dl_find_object do not), so the edge M -> L
//                        that would close a cycle is missing.
#pragma once

#include <pthread.h>

#include "shim/loader/thread_state.h"

struct dl_phdr_info;

namespace [[gnu::visibility("hidden")]] unknot {

// Read by every slow call, written at start.
struct alignas(cache_line) LoaderLocks {
    Probe probe = Probe::none;
    const int* load_owner = &nobody;   // of _dl_load_lock; `nobody` where it is not known
    const int* write_owner = &nobody;  // of _dl_load_write_lock, read on slow paths only: every walk writes its line
    pthread_mutex_t* write_lock = nullptr;
    const void* rtld_global = nullptr;
};

extern constinit LoaderLocks loader_locks;

// Finds and confirms the words. On failure the probe is Probe::wrapper and the return value says why; nullptr: success.
// Must run while this thread owns no loader lock. `walk` is libc's dl_iterate_phdr.
// The load lock is confirmed by an allocation of ld.so's that comes to our malloc. Where malloc is not ours it does not
// come, and nothing depends on that lock: walks need the write lock alone.
enum class Wanted : std::uint8_t { both_locks, write_lock };
using WalkFunction = int (*)(int (*)(dl_phdr_info*, std::size_t, void*), void*);
const char* calibrate(WalkFunction walk, Wanted wanted);

// Called for every allocation while the calibration runs: confirms the load lock from inside a dlopen. Does this thread
// own it?
bool confirm_load_lock(const ThreadState& thread);

// Is this thread inside the calls that the calibration makes? What ld.so allocates for them may not be the first thing
// that the allocator is asked for: glibc's mcheck and malloc_set_state count on coming before that.
bool is_calibrating(const ThreadState& thread);

// Slow-path question, exact for the calling thread. Heals `thread.walks` where a walk ended without coming back to us
// (its callback threw, or jumped): the mark says "inside a walk", the owner word says no.
bool owns_loader_lock(ThreadState& thread);

// The narrower question: does it own the lock that walks wait for?
// `surely`: by the owner word alone, so that the answer is no where that is not known.
inline bool surely_owns_write_lock(const ThreadState& thread) {
    // Relaxed: only this thread stores this thread's id there.
    return __atomic_load_n(loader_locks.write_owner, __ATOMIC_RELAXED) == thread.id;
}
inline bool owns_write_lock(const ThreadState& thread) {
    return loader_locks.probe == Probe::owner_words ? surely_owns_write_lock(thread) : thread.walks != 0;
}

}  // namespace unknot
