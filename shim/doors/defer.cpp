// SPDX-License-Identifier: Apache-2.0
#include "shim/doors/defer.h"

#include "shim/allocator/real_allocator.h"
#include "shim/doors/averted.h"
#include "shim/doors/counting.h"
#include "shim/loader/loader_lock.h"

namespace unknot {

namespace {

constinit DeferredFrees deferred_frees;

void replay(const Deallocation& call) {
    [[maybe_unused]] const char nothrow_tag = 0;
    [[maybe_unused]] const void* tag = &nothrow_tag;
    [[maybe_unused]] const std::size_t size = call.size;
    [[maybe_unused]] const std::size_t alignment = call.alignment;
    void* pointer = call.pointer;
    switch (call.row) {
#define UNKNOT_ALLOCATION(id, ...)
#define UNKNOT_ALLOCATION_INTO(id, ...)
#define UNKNOT_REALLOCATION(id, ...)
#define UNKNOT_DEALLOCATION(id, symbol, parameters, arguments, ...) \
    case DeallocationRow::id:                                       \
        return real_allocator.id arguments;
#define UNKNOT_QUERY(id, ...)
#include "shim/allocator/entry_points.inc"
    }
}

}  // namespace

bool defer(ThreadState& thread, const Deallocation& call, std::size_t held) {
    thread.cursor.in_stretch = true;
    auto* record = static_cast<DeferredFree*>(arena.allocate(thread.cursor, sizeof(DeferredFree)));
    if (record == nullptr) return false;
    record->held = held;
    record->call = call;
    // Before the push: whoever drains it takes it back from a sum that contains it.
    count(unknot_stats.waiting_bytes, held);
    thread.stretch.waiting += share_of(held);
    deferred_frees.push(record);
    count(unknot_stats.deferred);
    // A walk that an unwinder makes inside the allocator ends inside the allocator: draining there would enter it.
    const Drain when = thread.walks != 0 && thread.walk_by_inner_code ? Drain::careful : Drain::at_once;
    if (thread.drain != Drain::at_once) thread.drain = when;
    always_go_slow(thread);
    if (owns_write_lock(thread)) note_diverting(thread);
    arm_exit_hook(thread);
    publish_blocks(thread);
    return true;
}

void drain(ThreadState& thread) {
    thread.drain = Drain::nothing;
    thread.stretch.waiting = 0;
    DeferredFree* record = deferred_frees.take_all();
    while (record != nullptr) {
        const Deallocation call = record->call;
        DeferredFree* next = record->next;
        count(unknot_stats.waiting_bytes, 0 - std::uint64_t{record->held});
        arena.deallocate(thread.cursor, record);
        // Before the call: whoever finds all frees drained and then looks sees no more than one still on its way.
        replay(call);
        count(unknot_stats.drained);
        record = next;
    }
    publish_blocks(thread);
}

}  // namespace unknot
