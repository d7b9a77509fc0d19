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

// Watching modes only, once, when the locks are known. Handlers run before others' handlers in a child that were
// registered later. What asks for no handlers (_Fork, clone), and what other handlers do before ours, is noticed by a
// word that the kernel clears in every child (MADV_WIPEONFORK, Linux 4.14); on an older kernel by nobody.
void watch_forks();

// 0 in a child that has not been repaired. Relaxed: set before the first thread that could read another value.
extern constinit std::atomic<const std::atomic<int>*> same_process;
inline bool is_unknown_child() {
    return same_process.load(std::memory_order_relaxed)->load(std::memory_order_relaxed) == 0;
}

// Repairs this child: the write lock of a thread that is not here, this thread's id, the snapshot's readers.
void become_child(ThreadState& thread);

// This process was forked in the middle of somebody's edit of the list of loaded objects, which nobody will finish: an
// object in it may be unmapped already.
bool list_in_doubt();

}  // namespace unknot
