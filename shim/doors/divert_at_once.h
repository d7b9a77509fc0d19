// SPDX-License-Identifier: Apache-2.0
// What a walk's callback allocates, from its second block on: everybody who wants the loader's lock waits for it
// meanwhile. The walk's first block goes the careful way and notes what is to be noted of the walk; what is left of
// each further one stands here. Budget (x86_64, checked by a test): a pair of malloc and free, from the program's call
// and back, 122 instructions.
#pragma once

#include "shim/doors/averted.h"
#include "shim/doors/divert.h"
#include "shim/doors/enter.h"
#include "shim/loader/loader_lock.h"

namespace [[gnu::visibility("hidden")]] unknot {

// Has this walk diverted before? Then no question of divert_allocation's would be answered otherwise.
inline bool diverts_again(const ThreadState& thread) {
    return has_diverted_in_walk(thread) && surely_owns_write_lock(thread);
}

inline void note_another(ThreadState& thread, std::size_t size) {
    ++thread.slow_calls;
    count_as_owner(unknot_stats.diverted);
    thread.stretch.diverted += size;
}

// The next block of its room, aligned to 16 bytes, for a place in the code that has been seen before. nullptr: it is
// not that simple, and nothing has happened.
template <Fill fill>
void* divert_at_once(std::size_t size, const void* caller);

}  // namespace unknot
