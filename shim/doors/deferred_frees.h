// SPDX-License-Identifier: Apache-2.0
// Frees that cannot run yet because this thread owns a loader lock. Nothing here may allocate from the allocator, lock,
// or touch errno.
//
// A deferred free is a record in the arena, not a link through the freed block: debug allocators and memcheck watch
// every byte of a freed block (tcmalloc_debug puts its guard right behind a block of size 0), and a record can hold the
// exact call, so new/delete pairing, sizes and alignments reach the real allocator as the program wrote them.
//
// Thread safety: any thread, any time, signal handlers too.
// (1) A record is pushed once and taken once: take_all empties the list in one exchange, so there is no pop that could
//     meet a recycled record (no ABA).
// (2) Bounded: the records of a thread are those of one stretch under a loader lock (it drains at its first call after
//     it has let go, at the end of its walk, or at its exit, and takes everybody's records with it), and what a stretch
//     may hold back is bounded: policy/stretch.h. Without rule 2 (UNKNOT_WALK=native) there is no such bound.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace unknot {

// One enumerator per deallocation function, named like its row.
enum class DeallocationRow : std::uint8_t {
#define UNKNOT_ALLOCATION(id, ...)
#define UNKNOT_ALLOCATION_INTO(id, ...)
#define UNKNOT_REALLOCATION(id, ...)
#define UNKNOT_DEALLOCATION(id, ...) id,
#define UNKNOT_QUERY(id, ...)
#include "shim/allocator/entry_points.inc"
};

struct Deallocation {
    void* pointer;
    DeallocationRow row;
    std::size_t size = 0;
    std::size_t alignment = 0;
};

struct DeferredFree {
    DeferredFree* next;
    std::size_t held;  // bytes that the block holds, as far as the real allocator can tell
    Deallocation call;
};

class DeferredFrees {
  public:
    void push(DeferredFree* record) {
        DeferredFree* first = first_.load(std::memory_order_relaxed);  // only a guess: the exchange checks it
        do {
            record->next = first;
            // Release pairs with the acquire in take_all: whoever takes the record sees what it says.
        } while (!first_.compare_exchange_weak(first, record, std::memory_order_release, std::memory_order_relaxed));
    }

    // Everything that waits, oldest first, now the caller's alone; nullptr if nothing does.
    DeferredFree* take_all() {
        DeferredFree* newest = first_.exchange(nullptr, std::memory_order_acquire);
        DeferredFree* oldest = nullptr;
        while (newest != nullptr) {
            DeferredFree* older = newest->next;
            newest->next = oldest;
            oldest = newest;
            newest = older;
        }
        return oldest;
    }

    // Relaxed: only a hint for somebody who then takes.
    bool empty() const { return first_.load(std::memory_order_relaxed) == nullptr; }

  private:
    std::atomic<DeferredFree*> first_{nullptr};
};

}  // namespace unknot
