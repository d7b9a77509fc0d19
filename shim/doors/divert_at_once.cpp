// SPDX-License-Identifier: Apache-2.0
// The straight way of what a walk's callback allocates and gives back: everybody who wants the loader's lock waits for
// it meanwhile. The walk's first block goes the careful way and notes what is to be noted of the walk; what is left of
// each further one stands here.
// Budget (x86_64, checked by a test): a pair of malloc and free, from the program's call and back, 160 instructions.
#include "shim/doors/averted.h"
#include "shim/doors/counting.h"
#include "shim/doors/divert.h"
#include "shim/doors/enter.h"
#include "shim/loader/loader_lock.h"
#include "shim/log/witness.h"
#include "shim/system/sizes.h"

namespace unknot {

namespace {

[[gnu::noinline]] void take_back_and_publish(ThreadState& thread, void* block) {
    arena.deallocate(thread.cursor, block);
    publish_blocks(thread);
}

}  // namespace

void* divert_at_once(std::size_t size, std::size_t alignment, Fill fill, const void* caller) {
    ThreadState& thread = thread_state;
    if (!has_diverted_in_walk(thread) || !surely_owns_write_lock(thread) || alignment == no_alignment) return nullptr;
    ++thread.slow_calls;
    void* block = arena.allocate(thread.cursor, size, alignment, fill);
    if (block == nullptr) return nullptr;
    count_as_owner(unknot_stats.diverted);
    thread.stretch.diverted += size;
    witness(unknot_stats.under_loader_lock, caller);
    return block;
}

void take_back(void* block) {
    ThreadState& thread = thread_state;
    if (__builtin_expect(thread.walks == 0, 0)) return take_back_and_publish(thread, block);
    arena.deallocate(thread.cursor, block);
}

}  // namespace unknot
