// SPDX-License-Identifier: Apache-2.0
// The arena: where allocations go that are made under a loader lock. Lock-free, async-signal-safe, usable in the child
// of a fork; memory comes from the kernel by raw system calls, so nothing here can reach malloc, a lock, or errno.
//
// Range: one reservation, [metadata | span | span | ...], so that "is it ours" is one subtraction and one compare.
// A block: a 16-byte header, then the payload. Small blocks (up to small_limit) are cut from a chunk that belongs to
// one thread's cursor; larger ones get a span of their own, whose pages go back to the kernel when they are freed.
//
// Thread safety: every member may be called by any thread at any time, in signal handlers too, each thread with its own
// cursor.
// (1) Only the thread of a cursor cuts from the cursor's chunk, so cutting needs no atomic operation. A signal handler
//     that interrupts its own thread in the middle sees `busy` and takes a span of its own instead.
// (2) Blocks are freed by anyone: see invariant (1) of chunk.h.
// (3) A handler may also jump out of the middle of an operation, which is then never finished. Every operation changes
// a
//     cursor in such an order that what is left at most pins room of its chunk; see in_the_middle in arena_region.h.
#pragma once

#include "shim/arena/chunk.h"
#include "shim/log/stats.h"
#include "shim/system/platform.h"

namespace unknot {

struct ArenaCursor;
// Stands in the frame of an operation that changes a cursor, and names that cursor for as long as the frame is alive.
using OperationMark = const ArenaCursor* volatile;

// What one thread needs to cut blocks without asking anybody. Zero is the empty state. Cutting a block moves `next` and
// nothing else: the sums for the statistics are made up later from the headers, which lie one behind the other.
struct ArenaCursor {
    char* next;                    // the next free byte of the room
    char* end;                     // of the room, which is the chunk or what lies free between two blocks of it
    char* chunk;                   // where the chunk starts; nullptr: there is none
    char* counted;                 // blocks of the room below this are in the sums below
    char* dirty_end;               // bytes of the chunk below this may be non-zero
    std::uint32_t freed;           // bytes of the chunk below `next` that this thread has freed or never cut
    std::int32_t block_delta;      // live blocks not yet in the statistics
    std::int64_t byte_delta;       // live bytes not yet in the statistics
    OperationMark* volatile busy;  // this thread is in the middle of changing the fields above; nullptr: it is not
    bool in_stretch;               // a stretch under a loader lock is going on: see Arena::end_of_stretch
    bool fleeting;                 // nobody will retire this cursor: it gives its chunk back after every block
    bool left_rooms;               // chunks have become nearly empty within the stretch
    std::uint32_t large;           // large blocks not yet in the statistics
    std::uint32_t spare;           // the empty span that this thread gave back last in the stretch: index + 1; 0: none

    // Before `next` moves back.
    void note_dirty() {
        if (dirty_end < next) dirty_end = next;
    }
};

enum class Fill : std::uint8_t { as_is, zero };

class Arena {
  public:
    // Two such blocks fill a chunk, headers included.
    static constexpr std::size_t small_limit = chunk_size / 2 - 16;
    static constexpr std::size_t default_limit = std::size_t{1} << 30;
    static constexpr std::size_t static_reserve = std::size_t{512} << 10;
    // Of the whole process, however many threads are in a stretch. As much as thirty tables of 300 kB, or one of 11
    // MiB. Small beside what the process has that parses under the lock, and part of what a stretch may cost in memory.
    static constexpr std::size_t kept_in_stretch = std::size_t{12} << 20;
    // Besides, of each thread that is in a stretch: the last empty span of up to so many bytes.
    static constexpr std::size_t kept_by_thread = 2 * chunk_size;
    // Always: emptied chunks for the next walk.
    static constexpr std::size_t kept_between = 16 * chunk_size;

    constexpr explicit Arena(StatsPage& stats) : stats_(stats) {}

    // How much memory may be committed at a time, in bytes. Takes effect at once; the reservation follows the limit
    // that holds when the first block is asked for, and how much address space the process may have now.
    void set_limit(std::size_t bytes);

    // Relaxed: whoever holds a block of ours got it after the range was known (the block came to it that way).
    [[gnu::always_inline]] bool contains(const void* p) const {
        return reinterpret_cast<std::uintptr_t>(p) + minus_base_.load(std::memory_order_relaxed) <
               size_.load(std::memory_order_relaxed);
    }

    // nullptr when the limit, the kernel or the address space says no. `alignment` is a power of two. A block has room
    // for 16 bytes at least: its address is its own even if nothing was asked for. Zeroes reach to the end of the room:
    // whoever grows a block that is zero expects the growth to be zero too, and counts from the usable size.
    void* allocate(ArenaCursor& cursor, std::size_t size, std::size_t alignment = 16, Fill fill = Fill::as_is);

    // `p` is what allocate returned; anything else in the range is reported and stops the process.
    void deallocate(ArenaCursor& cursor, void* p);

    // What allocate does first, inlined by who is in a hurry (arena_region.h). nullptr: it is not that simple, and
    // nothing has happened. `dirty`: may the block hold something else than zeroes?
    void* cut_next(ArenaCursor& cursor, std::size_t size, std::size_t alignment, bool& dirty);
    static void* filled(void* payload, Fill fill, bool dirty);

    // Bytes that may be used at `p`.
    std::size_t usable_size(const void* p) const;

    // True: the block at `p` now has room for `size` bytes, and no more than it needs. Grows the cursor's newest block
    // and blocks with pages of their own; shrinks all but those whose pages would hold a much larger span.
    bool resize_in_place(ArenaCursor& cursor, void* p, std::size_t size);

    // The block with room for `size` bytes, moved where it would otherwise hold much more than it needs; nullptr: it
    // can only grow elsewhere, and nothing has changed.
    void* resize(ArenaCursor& cursor, void* p, std::size_t size, std::size_t alignment = 16);

    // A thread that allocates under a loader lock says so in its cursor (in_stretch), and calls this when it owns none
    // any more: within a stretch pages are kept for the next block of their size, up to kept_in_stretch bytes, and
    // afterwards they go back to the kernel. Costs nothing where nothing was kept.
    void end_of_stretch(ArenaCursor& cursor);

    // The thread ends: nothing is cut from its chunk any more.
    void retire(ArenaCursor& cursor);

    // Adds what the cursor has counted to the statistics. Most walks have nothing to add.
    void publish(ArenaCursor& cursor) {
        if (cursor.counted != cursor.next || cursor.block_delta != 0 || cursor.byte_delta != 0 || cursor.large != 0) {
            publish_sums(cursor);
        }
    }

    // Only for tests: gives the reservation back. No block may be live.
    void destroy();

  private:
    struct Block;
    struct Region;
    enum class Pages : std::uint8_t { may_stay, go };

    Region* region();
    Region* reserve();
    Region* publish_region(void* memory, std::size_t bytes, bool writable);
    void* allocate_slow(ArenaCursor& cursor, std::size_t size, std::size_t alignment, Fill fill);
    void* allocate_large(ArenaCursor& cursor, std::size_t size, std::size_t alignment, Fill fill);
    void* cut_slow(ArenaCursor& cursor, std::size_t size, std::size_t alignment, Fill fill);
    bool refill(ArenaCursor& cursor, std::size_t bytes);
    bool next_room(ArenaCursor& cursor, std::size_t bytes);
    bool adopt(ArenaCursor& cursor, std::size_t bytes);
    bool take_retired(std::uint32_t index, std::uint32_t most);
    void give_up(ArenaCursor& cursor, std::uint32_t index, std::uint32_t share);
    enum class Trim : std::uint8_t { once, again };
    void trim(const ArenaCursor& cursor, std::uint32_t index, Trim which);
    void discard_rooms(std::uint32_t index);
    static Pages pages_of(const Chunk& chunk);
    void trim_all(ArenaCursor& cursor);
    static char* behind(char* at, char* chunk_end);
    char* end_of_room(char* at, char* chunk_end) const;
    void close_room(ArenaCursor& cursor);
    std::size_t least_charge(unsigned span_class) const;
    std::int64_t span_for(ArenaCursor& cursor, unsigned span_class, std::size_t end, std::size_t bytes);
    std::int64_t take_spare_or_span(ArenaCursor& cursor, unsigned span_class, std::size_t end, std::size_t bytes);
    std::int64_t take_spare(ArenaCursor& cursor);
    bool keep_spare(ArenaCursor& cursor, std::uint32_t index);
    std::int64_t take_span(unsigned span_class, std::size_t end, std::size_t bytes);
    std::int64_t advance_frontier(unsigned span_class);
    bool make_writable(std::uint32_t index, std::size_t bytes);
    bool charge(std::size_t bytes);
    bool charge_or_cool(std::size_t bytes);
    void discharge(std::size_t bytes);
    void recycle(const ArenaCursor& cursor, std::uint32_t index, Pages pages);
    std::int64_t take_warm(unsigned span_class);
    bool keep_warm(const ArenaCursor& cursor, std::uint32_t index);
    bool cool_one();
    void cool(std::uint32_t index);
    void give_back(ArenaCursor& cursor, void* p);
    bool free_here(ArenaCursor& cursor, const Block* block, std::uint64_t bytes);
    void count_cut(ArenaCursor& cursor);
    void publish_sums(ArenaCursor& cursor);
    void uncount_newest(ArenaCursor& cursor);
    bool resize_newest(ArenaCursor& cursor, Block* block, std::size_t wanted);
    bool shrink_small(ArenaCursor& cursor, Block* block, std::size_t wanted);
    enum class Waste : std::uint8_t { refused, allowed };
    bool resize_large(ArenaCursor& cursor, Block* block, std::size_t wanted, Waste waste);
    void retire_chunk(ArenaCursor& cursor);
    Block* checked(void* p, const char* operation) const;
    std::uint64_t cookie() const { return cookie_.load(std::memory_order_relaxed); }  // Relaxed: as in contains.
    void note(ArenaCursor& cursor, std::int32_t blocks, std::int64_t bytes, std::uint32_t large = 0);

    // The range, its start negated: adding is one instruction less than subtracting on the hot path. Until it is
    // known, it lies so that no user-space address is inside whatever `size_` says, and while `size_` is 0 nothing is
    // inside whatever this says: the two may be seen in any order.
    std::atomic<std::uintptr_t> minus_base_{std::uintptr_t{1} << 63};
    std::atomic<std::size_t> size_{0};
    std::atomic<std::uint64_t> cookie_{0};  // this process's share of the marks in the headers

    StatsPage& stats_;
    std::atomic<std::size_t> limit_{default_limit};
    std::atomic<std::size_t> most_to_reserve_{SIZE_MAX};
    std::atomic<Region*> claimed_{nullptr};         // the reservation that won
    std::atomic<Region*> region_{nullptr};          // the same, once the range above is known
    std::atomic<std::uint32_t> frontier_{0};        // spans below this index have been handed out at least once
    std::atomic<std::uint32_t> metadata_ready_{0};  // metadata below this index is writable
    std::atomic<std::uint64_t> warm_bytes_{0};      // what the spans in the lists of that name are charged with
    std::atomic<std::uint32_t> looked_at_{0};       // where the search for room in retired chunks goes on
    std::atomic<std::uint32_t> to_trim_{0};         // a nearly empty chunk whose pages may go: index + 1; 0: none
    SpanList warm_[warm_classes];                   // empty spans that kept their pages and their charge
    SpanList free_[span_classes];                   // empty spans that hold no pages
};

}  // namespace unknot
