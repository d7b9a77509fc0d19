// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/fork_handlers.h"

#include <pthread.h>

#include "shim/loader/loaded_objects.h"
#include "shim/loader/loader_lock.h"
#include "shim/log/stats.h"
#include "shim/system/libc.h"

namespace unknot {

namespace {

constexpr int edit_attempts = 1000;
constexpr long attempt_ns = 20'000;

constinit ClearedInChildren never_cleared;

// The loader edits its list only while it owns the load lock too; a walk owns the write lock alone.
bool is_edited() {
    // Relaxed, both: a guess that decides about waiting, not about anything's safety.
    const int owner = __atomic_load_n(loader_locks.write_owner, __ATOMIC_RELAXED);
    return owner != nobody && owner != thread_state.id &&
           owner == __atomic_load_n(loader_locks.load_owner, __ATOMIC_RELAXED);
}

// So that a child in doubt is rare: an edit takes microseconds and asks for no lock but the loader's. Holds nothing, so
// whoever forks under a lock of the program's adds no order to it.
void before_fork() {
    if (loader_locks.write_lock == nullptr) return;
    for (int i = 0; is_edited() && i < edit_attempts; ++i) raw::rest(attempt_ns);
}

void give_back(pthread_mutex_t& lock) {
    lock = recursive_mutex();
    // Another thread of this child may have begun to wait before we came.
    raw::call(SYS_futex, raw::address(&lock), FUTEX_WAKE_PRIVATE, INT32_MAX);
    count(unknot_stats.locks_renewed);
}

enum class Forker : std::uint8_t {
    here,     // this thread forked, and is in a handler: if it owns the lock, it is inside a callback
    unknown,  // perhaps a thread that the child has made since
};

// Whose hold of the write lock is real in this child?
void repair_write_lock(int old_id, int new_id, Forker forker, bool in_walk) {
    pthread_mutex_t* lock = loader_locks.write_lock;
    if (lock == nullptr || !is_locked(*lock)) return;
    const int owner = owner_of(*lock);
    if (owner != nobody && owner == old_id && (forker == Forker::here || in_walk)) {
        owner_of(*lock) = new_id;  // ours: the callback goes on
        return;
    }
    if (owner == new_id) return;
    // Before anybody came here only the child's first thread can have taken it: a thread that the child has made comes
    // here with its first allocation.
    if (forker == Forker::unknown && owner == static_cast<int>(raw::pid())) return;
    give_back(*lock);
}

void repair(ThreadState& thread, Forker forker) {
    const int old_id = thread.id;
    const int new_id = id_in_mutexes();
    if (old_id != nobody) {
        thread.id = new_id;
        always_go_slow(thread);  // the first call finds out what is to be watched
        thread.plain_walk = {};  // a list in doubt is walked with care
    }
    repair_write_lock(old_id, new_id, forker, thread.walks != 0);
    // RT_CONSISTENT between edits; from before the first unmapping until after the last unlinking it says RT_DELETE,
    // and RT_ADD while objects are mapped and linked (glibc, elf/dl-close.c and dl-open.c, all versions).
    if (loader_locks.write_lock != nullptr && !list_is_consistent()) {
        in_doubt.store(true, std::memory_order_relaxed);
        // Nobody will finish that edit, and dlopen insists on a list that nobody edits (elf/dl-open.c, dl_open_worker).
        end_unfinished_edit();
    }
    forget_other_readers();
    unknot_stats.pid = forker == Forker::here ? static_cast<std::uint32_t>(new_id) : raw::pid();
}

// Says "I" once in each child.
bool claim() {
    // Relaxed: the one that comes second would find everything as it is, or as it is becoming.
    ClearedInChildren* words = cleared_in_children.load(std::memory_order_relaxed);
    if (words == &never_cleared) return true;
    if (words->known.exchange(1, std::memory_order_relaxed) != 0) return false;
    words->contended.store(ClearedInChildren::uncontended, std::memory_order_relaxed);
    return true;
}

// Not every kernel that takes the advice to wipe follows it (qemu-user 7.2 does not).
void after_fork_in_child() {
    if (claim() || unknot_stats.pid != raw::pid()) repair(thread_state, Forker::here);
}

}  // namespace

constinit std::atomic<ClearedInChildren*> cleared_in_children{&never_cleared};
constinit std::atomic<bool> in_doubt{false};

void watch_forks() {
    void* page = raw::reserve(page_multiple);
    if (page != nullptr && raw::commit(page, page_multiple) && raw::wipe_on_fork(page, page_multiple)) {
        auto* words = static_cast<ClearedInChildren*>(page);
        words->known.store(1, std::memory_order_relaxed);
        words->contended.store(ClearedInChildren::uncontended, std::memory_order_relaxed);
        cleared_in_children.store(words, std::memory_order_relaxed);
    } else if (page != nullptr) {
        raw::release(page, page_multiple);
    }
    pthread_atfork(before_fork, nullptr, after_fork_in_child);
}

void become_child(ThreadState& thread) {
    if (claim()) repair(thread, Forker::unknown);
}

}  // namespace unknot
