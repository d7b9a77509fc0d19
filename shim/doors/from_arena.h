// SPDX-License-Identifier: Apache-2.0
// One diverted block, and all that is to be noted of it.
#pragma once

#include "shim/doors/averted.h"
#include "shim/doors/enter.h"
#include "shim/loader/loader_lock.h"
#include "shim/log/stats.h"

namespace [[gnu::visibility("hidden")]] unknot {

// Of a walk the first block alone, of a stretch under the load lock each.
UNKNOT_COLD void note_first_diverted(ThreadState& thread);

// `surely`: this thread is ready and owns the write lock, by the owner word.
[[gnu::always_inline]] inline void* from_arena(ThreadState& thread, std::size_t size, std::size_t alignment, Fill fill,
                                               bool surely) {
    thread.cursor.in_stretch = true;
    void* block = arena.allocate(thread.cursor, size, alignment, fill);
    if (block == nullptr) return nullptr;
    if (surely || thread.ready) {  // before that there is nothing else, and no lock has a part in it
        if (surely) {
            count_as_owner(unknot_stats.diverted);
        } else {
            count(unknot_stats.diverted);
        }
        thread.stretch.diverted += size;
    }
    always_go_slow(thread);  // the first call after the lock is gone catches up
    if (surely || owns_write_lock(thread)) note_diverting(thread);
    if (__builtin_expect(thread.unpublished_walks != 0 || !thread.has_exit_hook || thread.walks == 0, 0)) {
        note_first_diverted(thread);
    }
    return block;
}

}  // namespace unknot
