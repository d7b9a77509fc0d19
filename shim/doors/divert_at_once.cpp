// SPDX-License-Identifier: Apache-2.0
#include "shim/doors/divert_at_once.h"

#include "shim/arena/arena_region.h"
#include "shim/doors/counting.h"
#include "shim/log/witness.h"

namespace unknot {

namespace {

[[gnu::noinline]] void take_back_and_publish(ThreadState& thread, void* block) {
    arena.deallocate(thread.cursor, block);
    publish_blocks(thread);
}

}  // namespace

// Calls nothing, so that it needs no frame.
template <Fill fill>
void* divert_at_once(std::size_t size, const void* caller) {
    ThreadState& thread = thread_state;
    if (__builtin_expect(size - 1 >= Arena::small_limit || !diverts_again(thread), 0)) return nullptr;
    WitnessRecord& record = home_of(unknot_stats.under_loader_lock, caller);
    if (__builtin_expect(!is_sighting_of(record, caller), 0)) return nullptr;
    bool dirty = true;
    void* block = arena.cut_next(thread.cursor, size, 16, dirty);
    if (__builtin_expect(block == nullptr, 0)) return nullptr;
    note_another(thread, size);
    add_sighting(record);
    return Arena::filled(block, fill, dirty);
}
template void* divert_at_once<Fill::as_is>(std::size_t size, const void* caller);
template void* divert_at_once<Fill::zero>(std::size_t size, const void* caller);

void take_back(void* block) {
    ThreadState& thread = thread_state;
    if (__builtin_expect(thread.walks == 0, 0)) return take_back_and_publish(thread, block);
    arena.deallocate(thread.cursor, block);
}

}  // namespace unknot
