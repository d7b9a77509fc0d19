// SPDX-License-Identifier: Apache-2.0
// The child of a fork that happened while another thread was in a walk inherits _dl_load_write_lock from a thread that
// it does not have, and glibc gives it back only _dl_load_lock and _dl_load_tls_lock (2.36, posix/fork.c: the child
// hangs in its first dl_iterate_phdr). Two measures:
//   before the fork: if the lock can be had, take it, so that no list is copied in the middle of an edit;
//   in the child: if somebody else has it, that somebody is gone: give the mutex back its first state.
// No new order: the attempt before the fork never waits for a walk (whoever forks while it holds an application's lock
// would else wait for a callback that may want that very lock: X -> L beside L -> X). It waits only while the loader
// edits its list, which ends by itself: those microseconds ask for no lock but the loader's.
#include "shim/loader/fork_handlers.h"

#include <pthread.h>

#include "shim/loader/loaded_objects.h"
#include "shim/loader/loader_lock.h"
#include "shim/log/stats.h"
#include "shim/system/libc.h"

namespace unknot {

namespace {

constexpr int edit_attempts = 1000;

// Of the forking thread, between its prepare and its parent or child handler. Forks of several threads overlap: glibc
// lets go of its atfork lock around every handler (from 2.36) and before the fork itself (always).
constinit thread_local bool holding [[gnu::tls_model("initial-exec")]] = false;

// The loader edits its list only while it owns the load lock too; a walk owns the write lock alone.
bool is_edited() {
    const int owner = __atomic_load_n(loader_locks.write_owner, __ATOMIC_RELAXED);
    return owner != nobody && owner == __atomic_load_n(loader_locks.load_owner, __ATOMIC_RELAXED);
}

void before_fork() {
    if (loader_locks.write_lock == nullptr) return;
    holding = pthread_mutex_trylock(loader_locks.write_lock) == 0;
    for (int i = 0; !holding && is_edited() && i < edit_attempts; ++i) {
        raw::call(SYS_sched_yield);
        holding = pthread_mutex_trylock(loader_locks.write_lock) == 0;
    }
}

void after_fork_in_parent() {
    if (holding) pthread_mutex_unlock(loader_locks.write_lock);
    holding = false;
}

void after_fork_in_child() {
    const int old_id = thread_state.id;
    renew_thread();
    if (pthread_mutex_t* lock = loader_locks.write_lock) {
        const int owner = owner_of(*lock);
        if (owner != nobody && owner == old_id) {
            // Ours, under the id that this thread had in the parent: perhaps from inside a callback, which goes on.
            owner_of(*lock) = thread_state.id;
            if (holding) pthread_mutex_unlock(lock);
        } else if (is_locked(*lock)) {
            *lock = recursive_mutex();
            count(unknot_stats.locks_renewed);
        }
    }
    holding = false;
    forget_other_readers();
    unknot_stats.pid = raw::pid();
}

}  // namespace

void register_fork_handlers() {
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

}  // namespace unknot
