// SPDX-License-Identifier: Apache-2.0
// What a fork asks of the shim. The child inherits the loader's locks and list as they were: _dl_load_write_lock
// perhaps owned by a thread that stayed in the parent (glibc renews _dl_load_lock and _dl_load_tls_lock only: 2.36,
// posix/fork.c), the list perhaps in the middle of an edit. The child is repaired; nothing is held between the handler
// before a fork and the ones after it, while libc and others take locks of their own.
//
// Thread safety: become_child works once in each child, whoever comes first; any thread, signal handlers too.
#pragma once

#include <atomic>

#include "shim/loader/thread_state.h"

namespace [[gnu::visibility("hidden")]] unknot {

// Words that the kernel clears in every child (MADV_WIPEONFORK, Linux 4.14), in a page of their own. On an older kernel
// nobody clears them, and a child without handlers is not noticed.
struct ClearedInChildren {
    // The last owner of the write lock whom an allocator's walk would have waited for (doors/averted.h). Here, so that
    // a plain walk asks both questions with one look: nobody has been contended with, and this is no child.
    std::atomic<int> contended{uncontended};
    std::atomic<int> known{1};  // 0: a child that has not been repaired
    static constexpr int uncontended = -1;
};
// Relaxed, here and for the words: set before there is anything to be seen in them, and any old value sends a walk the
// slow way or is asked for again there.
extern constinit std::atomic<ClearedInChildren*> cleared_in_children;

// Watching modes only, once, when the locks are known. In a child our handler runs before those that were registered
// later. What asks for no handlers (_Fork, clone), and what other handlers do before ours, is noticed by `known`.
void watch_forks();

inline bool is_unknown_child() {
    return cleared_in_children.load(std::memory_order_relaxed)->known.load(std::memory_order_relaxed) == 0;
}

// Repairs this child: the write lock of a thread that is not here, this thread's id, the snapshot's readers.
void become_child(ThreadState& thread);

// This process was forked in the middle of somebody's edit of the list of loaded objects, which nobody will finish: an
// object in it may be unmapped already. Relaxed: read by this process, where nobody else writes it.
extern constinit std::atomic<bool> in_doubt;
inline bool list_in_doubt() {
    return in_doubt.load(std::memory_order_relaxed);
}

}  // namespace unknot
