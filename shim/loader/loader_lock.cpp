// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/loader_lock.h"

#include <dlfcn.h>
#include <link.h>

#include "shim/loader/own_stack.h"
#include "shim/system/libc.h"
#include "shim/system/libc_functions.h"

namespace unknot {

constinit LoaderLocks loader_locks;

namespace {

// The candidate during calibration; `confirmed` is set from inside the allocations of a dlopen.
struct Calibration {
    char* start = nullptr;  // of _rtld_global
    std::size_t size = 0;
    int id = 0;
    unsigned found = 0;
    pthread_mutex_t* write_lock = nullptr;
    const pthread_mutex_t* load_lock = nullptr;
    bool confirmed = false;
    bool calls_dlopen = false;
};
constinit Calibration calibration;

bool is_owned_recursive(const pthread_mutex_t& mutex, int id) {
    return is_recursive(mutex) && owner_of(mutex) == id && is_locked_once(mutex);
}

// Another thread may own it at the same moment; this one does not.
bool is_not_ours(const pthread_mutex_t& mutex) {
    return is_recursive(mutex) && owner_of(mutex) != calibration.id;
}

// Inside a dl_iterate_phdr callback exactly one recursive mutex of the struct is owned by this thread.
int find_write_lock(dl_phdr_info*, std::size_t, void*) {
    for (std::size_t at = 0; at + sizeof(pthread_mutex_t) <= calibration.size; at += alignof(pthread_mutex_t)) {
        auto* mutex = reinterpret_cast<pthread_mutex_t*>(calibration.start + at);
        if (!is_owned_recursive(*mutex, calibration.id)) continue;
        ++calibration.found;
        calibration.write_lock = mutex;
    }
    return 1;
}

void* look_up_rtld_global() {
    return past_wrappers("dlsym", dlsym)(RTLD_DEFAULT, "_rtld_global");
}

const char* locate_rtld_global() {
    calibration.start = static_cast<char*>(look_up_rtld_global());
    if (calibration.start == nullptr) return "the loader exports no _rtld_global";
    Dl_info info;
    const ElfW(Sym)* entry = symbol_at(calibration.start, info);
    if (entry == nullptr) return "_rtld_global has no symbol entry";
    calibration.size = entry->st_size;
    if (calibration.size < 3 * sizeof(pthread_mutex_t)) return "_rtld_global is too small";
    return nullptr;
}

const char* find_and_confirm(WalkFunction walk, Wanted wanted) {
    if (const char* missing = locate_rtld_global()) return missing;
    calibration.id = id_in_mutexes();
    walk(find_write_lock, nullptr);
    if (calibration.found != 1) return "no single mutex is owned inside a dl_iterate_phdr callback";
    if (!is_not_ours(*calibration.write_lock)) return "the write lock stays owned after the walk";
    const auto offset = reinterpret_cast<char*>(calibration.write_lock) - calibration.start;
    if (static_cast<std::size_t>(offset) < sizeof(pthread_mutex_t)) return "no room for the load lock";
    if (wanted == Wanted::write_lock) return nullptr;
    calibration.load_lock = calibration.write_lock - 1;
    if (!is_not_ours(*calibration.load_lock)) return "the word beside the write lock is no recursive mutex";
    // ld.so allocates the message of a failed dlopen while it owns the load lock; confirm_load_lock sees that.
    always_go_slow(thread_state);
    calibration.calls_dlopen = true;
    if (void* unexpected = past_wrappers("dlopen", dlopen)("/nonexistent/unknot-calibration", RTLD_LAZY | RTLD_LOCAL))
        dlclose(unexpected);
    // A look-up that succeeds takes the error back (dlfcn/dlerror.c, all versions); dlerror would have it formatted
    // first, through code and tables of libc's that the program may never need.
    look_up_rtld_global();
    calibration.calls_dlopen = false;
    if (!calibration.confirmed) return "dlopen did not own the expected lock";
    if (!is_not_ours(*calibration.load_lock)) return "the load lock stays owned after dlopen";
    return nullptr;
}

}  // namespace

const char* calibrate(WalkFunction walk, Wanted wanted) {
    const char* failure = find_and_confirm(walk, wanted);
    if (failure == nullptr) {
        if (calibration.load_lock != nullptr) loader_locks.load_owner = &owner_of(*calibration.load_lock);
        loader_locks.write_owner = &owner_of(*calibration.write_lock);
        loader_locks.write_lock = calibration.write_lock;
        loader_locks.rtld_global = calibration.start;
    }
    loader_locks.probe = failure == nullptr ? Probe::owner_words : Probe::wrapper;
    calibration.load_lock = nullptr;
    return failure;
}

bool is_calibrating(const ThreadState& thread) {
    return calibration.calls_dlopen && thread.id == calibration.id;
}

bool confirm_load_lock(const ThreadState& thread) {
    const pthread_mutex_t* candidate = calibration.load_lock;
    const bool owned = candidate != nullptr && is_recursive(*candidate) && calibration.id != 0 &&
                       thread.id == calibration.id && owner_of(*candidate) == calibration.id;
    if (owned) calibration.confirmed = true;
    return owned;
}

bool owns_loader_lock(ThreadState& thread) {
    // Relaxed, both: only this thread stores this thread's id there.
    if (__atomic_load_n(loader_locks.load_owner, __ATOMIC_RELAXED) == thread.id) return true;
    if (loader_locks.probe == Probe::none && confirm_load_lock(thread)) return true;
    if (loader_locks.probe == Probe::owner_words) {
        if (__atomic_load_n(loader_locks.write_owner, __ATOMIC_RELAXED) == thread.id) return true;
    } else if (thread.walks != 0) {
        // No owner word to ask. A frame that lies below the stack pointer is gone, and so, for all that can be known,
        // is one on another stack: a callback may have jumped from there for good. On a handler's or a coroutine's
        // stack this can say "gone" too early: then this call is as unprotected as without the shim, and the walk is
        // marked again at its next object.
        if (is_further_up(thread.outermost_walk, __builtin_frame_address(0))) return true;
    }
    if (thread.walks != 0) {
        thread.walks = 0;
        count(unknot_stats.healed);
    }
    return false;
}

}  // namespace unknot
