// SPDX-License-Identifier: Apache-2.0
// Blocks: cut, checked, freed. Where their memory comes from is told in arena_spans.cpp.
#include "shim/arena/arena.h"

#include <string.h>

#include "shim/arena/arena_region.h"
#include "shim/log/report.h"

namespace unknot {

void* Arena::allocate(ArenaCursor& cursor, std::size_t size, std::size_t alignment, Fill fill) {
    bool dirty = true;
    void* payload = cut_next(cursor, size, alignment, dirty);
    return payload != nullptr ? filled(payload, fill, dirty) : allocate_slow(cursor, size, alignment, fill);
}

UNKNOT_COLD void* Arena::allocate_slow(ArenaCursor& cursor, std::size_t size, std::size_t alignment, Fill fill) {
    // An empty block would have no address of its own, and at the range's end it would lie outside.
    if (size == 0) size = 1;
    if (size > small_limit || alignment > small_limit || in_the_middle(cursor)) {
        return allocate_large(cursor, size, alignment, fill);
    }
    return cut_slow(cursor, size, alignment, fill);
}

// A block that wants another room, or a wider alignment. The cursor is not busy.
UNKNOT_COLD void* Arena::cut_slow(ArenaCursor& cursor, std::size_t size, std::size_t alignment, Fill fill) {
    if (alignment < 16) alignment = 16;
    Block* block = nullptr;
    bool dirty = false;
    {
        const Operation operation(cursor);
        // With what the alignment may leave out.
        const std::size_t most = sizeof(Block) + round_up(size, 16) + (alignment - 16);
        do {
            if (cursor.chunk == nullptr) continue;
            const std::uintptr_t earliest = reinterpret_cast<std::uintptr_t>(cursor.next) + sizeof(Block);
            const std::size_t gap = round_up(earliest, alignment) - earliest;
            auto* place = reinterpret_cast<Block*>(cursor.next + gap);
            char* end = place->payload() + round_up(size, 16);
            if (end > cursor.end) continue;
            if (gap != 0) reinterpret_cast<Block*>(cursor.next)->become_filler(gap, cookie());
            block = place;
            block->size = round_up(size, 16);
            block->mark = block->live_mark(cookie());
            dirty = block->start() < cursor.dirty_end;
            cursor.next = end;
            fence();  // invariant 3: in between, the gap is taken for a block
            cursor.freed += static_cast<std::uint32_t>(gap);
        } while (block == nullptr && refill(cursor, most));
        if (cursor.fleeting) retire_chunk(cursor);
    }
    if (block == nullptr) return nullptr;
    return fill == Fill::zero && dirty ? memset(block->payload(), 0, block->size) : block->payload();
}

// Another room for `bytes`: the cursor's chunk as a whole if every block has come back, else what is free between the
// blocks of this or another chunk, else a chunk of its own. The cursor is busy.
bool Arena::refill(ArenaCursor& cursor, std::size_t bytes) {
    Region* region = this->region();
    if (region == nullptr) return false;
    if (cursor.chunk != nullptr) {
        Chunk& chunk = region->chunks[region->index_of(cursor.chunk)];
        // Acquire pairs with the release of the frees counted here: their last accesses lie before our reuse. Nobody
        // else can change the count once it says that all blocks have come back.
        if (chunk.live.load(std::memory_order_acquire) == Chunk::owned - not_freed_here(cursor) &&
            (cursor.next != cursor.chunk || cursor.end != cursor.chunk + chunk_size)) {
            count_cut(cursor);
            cursor.note_dirty();
            chunk.live.store(Chunk::owned, std::memory_order_relaxed);  // Relaxed: no block is out there to be freed.
            cursor.next = cursor.counted = cursor.chunk;
            cursor.end = cursor.chunk + chunk_size;
            cursor.freed = 0;
            return true;
        }
        if (next_room(cursor, bytes)) return true;
        retire_chunk(cursor);
    }
    if (adopt(cursor, bytes)) return true;
    const std::int64_t index = take_spare_or_span(cursor, 0, chunk_size, chunk_size);
    if (index < 0) return false;
    Chunk& chunk = region->chunks[index];
    char* start = region->start_of(static_cast<std::uint32_t>(index));
    chunk.live.store(Chunk::owned, std::memory_order_relaxed);  // Relaxed: no block is out there to be freed.
    chunk.state.store(ChunkState::bump, std::memory_order_relaxed);
    cursor.next = cursor.counted = start;
    cursor.dirty_end = chunk.dirty ? start + chunk_size : start;
    cursor.freed = 0;
    chunk.dirty = true;
    cursor.chunk = start;
    fence();  // invariant 3: nothing is cut from a chunk that is not the cursor's
    cursor.end = start + chunk_size;
    return true;
}

// Called in the middle of an operation of this cursor, by its thread's signal handler: then the operation goes on with
// the chunk, and retiring must wait for another time.
void Arena::retire(ArenaCursor& cursor) {
    if (in_the_middle(cursor)) return;
    end_of_stretch(cursor);
    const Operation operation(cursor);
    retire_chunk(cursor);
}

// The cursor is busy: a handler that cut one more block between our look at it and the subtraction would leave a live
// block uncounted.
void Arena::retire_chunk(ArenaCursor& cursor) {
    if (cursor.chunk == nullptr) return;
    count_cut(cursor);
    close_room(cursor);
    const std::uint32_t index = region_.load(std::memory_order_relaxed)->index_of(cursor.chunk);  // Relaxed: ours.
    const std::uint32_t not_handed_out = Chunk::owned - not_freed_here(cursor);
    cursor.end = nullptr;
    fence();  // invariant 3, both: as in refill, and no sums are made of what is not there
    cursor.chunk = nullptr;
    cursor.next = nullptr;
    fence();
    cursor.counted = cursor.dirty_end = nullptr;
    give_up(cursor, index, not_handed_out);
}

std::int64_t Arena::span_for(ArenaCursor& cursor, unsigned span_class, std::size_t end, std::size_t bytes) {
    if (cursor.spare == 0 || in_the_middle(cursor)) return take_span(span_class, end, bytes);
    const Operation operation(cursor);
    return take_spare_or_span(cursor, span_class, end, bytes);
}

void* Arena::allocate_large(ArenaCursor& cursor, std::size_t size, std::size_t alignment, Fill fill) {
    Region* region = this->region();
    const std::size_t limit = limit_.load(std::memory_order_relaxed);  // Relaxed: a plain value.
    if (region == nullptr || size > limit || alignment > limit) return nullptr;
    if (alignment < 16) alignment = 16;
    // Spans are aligned to the chunk size only: a wider alignment is found inside.
    const std::size_t slack = alignment > chunk_size ? alignment : round_up(sizeof(Block), alignment);
    const std::size_t most = slack + round_up(size, 16);
    const unsigned span_class = class_of(most);
    if (span_class >= span_classes) return nullptr;
    // The same wherever the span begins: every alignment wider than a page leaves the header the page before.
    const char* const somewhere = region->spans + round_up(sizeof(Block), alignment);
    const std::size_t bytes = region->backing(somewhere - sizeof(Block), somewhere + round_up(size, 16));
    const std::int64_t taken = span_for(cursor, span_class, most, bytes);
    if (taken < 0) return nullptr;
    const auto index = static_cast<std::uint32_t>(taken);
    Chunk& chunk = region->chunks[index];
    char* start = region->start_of(index);
    const std::uintptr_t payload = round_up(reinterpret_cast<std::uintptr_t>(start) + sizeof(Block), alignment);
    auto* block = reinterpret_cast<Block*>(payload) - 1;
    block->size = round_up(size, 16);
    block->mark = block->live_mark(cookie());
    if (fill == Fill::zero && chunk.dirty) memset(block->payload(), 0, block->size);
    chunk.dirty = true;
    chunk.live.store(1, std::memory_order_relaxed);  // Relaxed: the block travels to its freer with all this.
    chunk.state.store(ChunkState::large, std::memory_order_relaxed);
    if (const std::uint32_t header = region->index_of(block); header != index) {
        // Relaxed, both: as above, for the freer alone.
        region->chunks[header].next.store(index, std::memory_order_relaxed);
        region->chunks[header].state.store(ChunkState::inside, std::memory_order_relaxed);
    }
    note(cursor, 1, static_cast<std::int64_t>(block->size), 1);
    return block->payload();
}

Arena::Block* Arena::checked(void* p, const char* operation) const {
    Region* region = region_.load(std::memory_order_acquire);
    auto* block = static_cast<Block*>(p) - 1;
    const auto address = reinterpret_cast<std::uintptr_t>(p);
    if (address % 16 != 0 || address < reinterpret_cast<std::uintptr_t>(region->spans) + sizeof(Block)) {
        report::not_a_block(p, operation);
    }
    const std::uint32_t index = region->index_of(block);
    // Relaxed: a rightful owner got the block after all this was written; for others any answer leads to a report.
    if (index >= metadata_ready_.load(std::memory_order_relaxed)) report::not_a_block(p, operation);
    const ChunkState state = region->chunks[index].state.load(std::memory_order_relaxed);
    // Without `committed` the span has never held a block, and its pages must not be read.
    if (state == ChunkState::untouched || (state == ChunkState::listed && !region->chunks[index].committed)) {
        report::not_a_block(p, operation);
    }
    if (state == ChunkState::left) report::double_free(p, 0, operation);
    // Relaxed: as above. Atomic, because somebody else may be freeing it, rightfully or not.
    const std::uint64_t mark = std::atomic_ref(block->mark).load(std::memory_order_relaxed);
    const bool was_freed = mark == block->freed_mark(cookie());
    if (state == ChunkState::listed) report::double_free(p, was_freed ? block->size : 0, operation);
    if (mark == block->live_mark(cookie())) return block;
    if (was_freed) report::double_free(p, block->size, operation);
    report::not_a_block(p, operation);
}

// The straight way: the cursor's newest block goes back as it came, by moving `next`. What the cursor says counts only
// once it is busy: before that a signal handler may move it on to another chunk. Whatever else `p` is, is told apart in
// `checked`; here nothing is read from it that does not lie in the cursor's own chunk.
void Arena::deallocate(ArenaCursor& cursor, void* p) {
    if (__builtin_expect(cursor.busy != nullptr, 0)) return give_back(cursor, p);
    OperationMark mark = &cursor;
    cursor.busy = &mark;
    fence();
    char* const start = static_cast<char*>(p) - sizeof(Block);  // of a header, if it lies as headers do
    auto* const block = reinterpret_cast<Block*>(start);
    if (!is_in_chunk(cursor, start) || block->end() != cursor.next || block->mark != block->live_mark(cookie())) {
        cursor.busy = nullptr;
        return give_back(cursor, p);
    }
    cursor.note_dirty();
    block->mark = ~block->mark;
    cursor.next = start;
    if (__builtin_expect(cursor.counted > cursor.next, 0)) uncount_newest(cursor);
    fence();
    cursor.busy = nullptr;
}

// The block that starts at `next`, and was just taken back, stands in the cursor's sums. The cursor is busy.
UNKNOT_COLD void Arena::uncount_newest(ArenaCursor& cursor) {
    --cursor.block_delta;
    cursor.byte_delta -= static_cast<std::int64_t>(reinterpret_cast<const Block*>(cursor.next)->size);
    cursor.counted = cursor.next;
}

void Arena::give_back(ArenaCursor& cursor, void* p) {
    Block* block = checked(p, "free");
    // Relaxed, here and below: whoever holds the block got it after all this was written.
    Region* region = region_.load(std::memory_order_relaxed);
    const std::uint32_t header = region->index_of(block);
    const ChunkState state = region->chunks[header].state.load(std::memory_order_relaxed);
    const std::uint64_t bytes = block->size;
    const auto footprint = static_cast<std::uint32_t>(sizeof(Block) + bytes);
    // One of two threads that free the same block at the same time finds the mark changed. Release: whoever adopts the
    // chunk and finds this mark may reuse the room at once, so nothing of the block is read below.
    std::uint64_t live = block->live_mark(cookie());
    if (!std::atomic_ref(block->mark)
             .compare_exchange_strong(live, ~live, std::memory_order_release, std::memory_order_relaxed)) {
        report::double_free(p, bytes, "free");
    }
    if (state == ChunkState::bump) {
        if (free_here(cursor, block, bytes)) return;
        note(cursor, -1, -static_cast<std::int64_t>(bytes));
        return give_up(cursor, header, footprint);
    }
    note(cursor, -1, -static_cast<std::int64_t>(bytes));
    std::uint32_t index = header;
    if (state == ChunkState::inside) {
        index = region->chunks[header].next.load(std::memory_order_relaxed);
        region->chunks[header].state.store(ChunkState::left, std::memory_order_relaxed);
    }
    // What began further inside leaves pages behind that the next block of the span is not charged with.
    const bool from_start = block->start() < region->start_of(index) + region->page;
    // Relaxed: nobody else looks at a large span's count but to see that it is none of a chunk.
    region->chunks[index].live.store(0, std::memory_order_relaxed);
    if (!from_start || !keep_spare(cursor, index)) recycle(cursor, index, from_start ? Pages::may_stay : Pages::go);
}

// A block of the cursor's own chunk: its thread keeps the count until the chunk is emptied or retired.
bool Arena::free_here(ArenaCursor& cursor, const Block* block, std::uint64_t bytes) {
    if (in_the_middle(cursor)) return false;
    const Operation operation(cursor);
    if (!is_in_chunk(cursor, reinterpret_cast<const char*>(block))) return false;
    cursor.freed += static_cast<std::uint32_t>(sizeof(Block) + bytes);
    --cursor.block_delta;
    cursor.byte_delta -= static_cast<std::int64_t>(bytes);
    return true;
}

}  // namespace unknot
