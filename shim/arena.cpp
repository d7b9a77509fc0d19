// SPDX-License-Identifier: Apache-2.0
// Blocks: cut, resized, checked, freed. Where their memory comes from is told in arena_spans.cpp.
#include "shim/arena.h"

#include <string.h>

#include "shim/arena_region.h"
#include "shim/report.h"

namespace unknot {
namespace {

// Keeps the compiler from moving the cursor's fields across the changes of `busy`. Enough for a signal handler on the
// same thread, and nobody else reads a cursor.
inline void fence() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace

void* Arena::allocate(ArenaCursor& cursor, std::size_t size, std::size_t alignment, Fill fill) {
    // An empty block would have no address of its own, and at the range's end it would lie outside.
    if (size == 0) size = 1;
    if (size > small_limit || alignment > small_limit || cursor.busy) {
        return allocate_large(cursor, size, alignment, fill);
    }
    cursor.busy = true;
    fence();
    Block* block = nullptr;
    do {
        if (cursor.chunk == 0) continue;
        // Chunks are aligned to their size, so an offset is as aligned as its address.
        const std::size_t payload = round_up(cursor.offset + sizeof(Block), alignment < 16 ? 16 : alignment);
        const std::size_t end = round_up(payload + size, 16);
        if (end > chunk_size) continue;
        Region* region = region_.load(std::memory_order_relaxed);  // Relaxed: the cursor's chunk came from it.
        block = reinterpret_cast<Block*>(region->start_of(cursor.chunk - 1) + payload) - 1;
        block->size = end - payload;
        block->chunk = cursor.chunk - 1;
        block->mark = block->live_mark(region->cookie);
        if (fill == Fill::zero && payload < cursor.dirty_end) memset(block->payload(), 0, size);
        cursor.offset = static_cast<std::uint32_t>(end);
        ++cursor.blocks;
        ++cursor.block_delta;
        cursor.byte_delta += static_cast<std::int64_t>(block->size);
    } while (block == nullptr && refill(cursor));
    fence();
    cursor.busy = false;
    return block != nullptr ? block->payload() : nullptr;
}

// Empties the cursor's chunk in place if every block has come back, else retires it and takes another.
bool Arena::refill(ArenaCursor& cursor) {
    Region* region = this->region();
    if (region == nullptr) return false;
    if (cursor.chunk != 0) {
        Chunk& chunk = region->chunks[cursor.chunk - 1];
        // Acquire pairs with the release of the frees counted here: their last accesses lie before our reuse. Nobody
        // else can change the count once it says that all blocks have come back.
        if (chunk.live.load(std::memory_order_acquire) == Chunk::owned - cursor.blocks && cursor.offset != 0) {
            chunk.live.store(Chunk::owned, std::memory_order_relaxed);  // Relaxed: no block is out there to be freed.
            cursor.dirty_end = cursor.dirty_end > cursor.offset ? cursor.dirty_end : cursor.offset;
            cursor.offset = 0;
            cursor.blocks = 0;
            return true;
        }
        retire_chunk(cursor);
    }
    const std::int64_t index = take_span(0, chunk_size);
    if (index < 0) return false;
    Chunk& chunk = region->chunks[index];
    chunk.live.store(Chunk::owned, std::memory_order_relaxed);  // Relaxed: no block is out there to be freed.
    chunk.state.store(ChunkState::bump, std::memory_order_relaxed);
    cursor.dirty_end = chunk.dirty ? chunk_size : 0;
    cursor.offset = 0;
    cursor.blocks = 0;
    cursor.chunk = static_cast<std::uint32_t>(index) + 1;
    chunk.dirty = true;
    return true;
}

// Called in the middle of an operation of this cursor, by its thread's signal handler: then the operation goes on with
// the chunk, and retiring must wait for another time.
void Arena::retire(ArenaCursor& cursor) {
    if (cursor.busy) return;
    cursor.busy = true;
    fence();
    retire_chunk(cursor);
    fence();
    cursor.busy = false;
}

// The cursor is busy: a handler that cut one more block between our look at `blocks` and the subtraction would leave
// a live block uncounted.
void Arena::retire_chunk(ArenaCursor& cursor) {
    if (cursor.chunk == 0) return;
    const std::uint32_t index = cursor.chunk - 1;
    const std::uint32_t not_handed_out = Chunk::owned - cursor.blocks;
    cursor.chunk = 0;
    // Release: our writes to the chunk lie before its reuse. Acquire: if we are the last, so do everybody's.
    if (region_.load(std::memory_order_relaxed)
            ->chunks[index]
            .live.fetch_sub(not_handed_out, std::memory_order_acq_rel) == not_handed_out) {
        recycle(index);
    }
}

void* Arena::allocate_large(ArenaCursor& cursor, std::size_t size, std::size_t alignment, Fill fill) {
    Region* region = this->region();
    const std::size_t limit = limit_.load(std::memory_order_relaxed);
    if (region == nullptr || size > limit || alignment > limit) return nullptr;
    // Spans are aligned to the chunk size only.
    const std::size_t slack =
        alignment > chunk_size ? alignment : round_up(sizeof(Block), alignment < 16 ? 16 : alignment);
    const std::size_t most = slack + sizeof(Block) + round_up(size, 16);
    const unsigned span_class = class_of(most);
    if (span_class >= span_classes) return nullptr;
    const std::int64_t taken = take_span(span_class, most);
    if (taken < 0) return nullptr;
    const auto index = static_cast<std::uint32_t>(taken);
    Chunk& chunk = region->chunks[index];
    char* start = region->start_of(index);
    const std::uintptr_t payload =
        round_up(reinterpret_cast<std::uintptr_t>(start) + sizeof(Block), alignment < 16 ? 16 : alignment);
    auto* block = reinterpret_cast<Block*>(payload) - 1;
    block->size = round_up(size, 16);
    block->chunk = index;
    block->mark = block->live_mark(region->cookie);
    if (fill == Fill::zero && chunk.dirty) memset(block->payload(), 0, size);
    chunk.dirty = true;
    chunk.live.store(1, std::memory_order_relaxed);  // Relaxed: the block travels to its freer with all this.
    chunk.state.store(ChunkState::large, std::memory_order_relaxed);
    if (const std::uint32_t header = region->index_of(block); header != index) {
        region->chunks[header].state.store(ChunkState::inside, std::memory_order_relaxed);
    }
    count(stats_.large_blocks);
    note(cursor, 1, static_cast<std::int64_t>(block->size));
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
    const bool was_freed = block->mark == block->freed_mark(region->cookie);
    if (state == ChunkState::listed) report::double_free(p, was_freed ? block->size : 0, operation);
    if (block->mark == block->live_mark(region->cookie)) return block;
    if (was_freed) report::double_free(p, block->size, operation);
    report::not_a_block(p, operation);
}

void Arena::deallocate(ArenaCursor& cursor, void* p) {
    Block* block = checked(p, "free");
    Region* region = region_.load(std::memory_order_relaxed);
    const std::uint32_t index = block->chunk;
    Chunk& chunk = region->chunks[index];
    const auto bytes = static_cast<std::int64_t>(block->size);
    const bool small = chunk.state.load(std::memory_order_relaxed) == ChunkState::bump;
    if (small && take_back_newest(cursor, block)) return;
    // One of two threads that free the same block at the same time finds the mark changed. Relaxed: the count below
    // orders the accesses to the block.
    std::uint32_t live = block->live_mark(region->cookie);
    if (!std::atomic_ref(block->mark).compare_exchange_strong(live, ~live, std::memory_order_relaxed)) {
        report::double_free(p, static_cast<std::size_t>(bytes), "free");
    }
    note(cursor, -1, -bytes);
    if (!small) {
        if (const std::uint32_t header = region->index_of(block); header != index) {
            region->chunks[header].state.store(ChunkState::left, std::memory_order_relaxed);
        }
    }
    // Release: our last accesses to the block lie before its reuse. Acquire: if this is the last block, so do
    // everybody's (invariant 1).
    if (chunk.live.fetch_sub(1, std::memory_order_acq_rel) == 1) recycle(index);
}

// The cursor's newest block goes back as it came, by moving the offset. What the cursor says counts only once it is
// busy: before that a signal handler may move it on to another chunk.
bool Arena::take_back_newest(ArenaCursor& cursor, Block* block) {
    if (cursor.busy) return false;
    cursor.busy = true;
    fence();
    Region* region = region_.load(std::memory_order_relaxed);
    char* start = region->start_of(block->chunk);
    const bool newest = cursor.chunk == block->chunk + 1 && block->end() == start + cursor.offset;
    if (newest) {
        cursor.dirty_end = cursor.dirty_end > cursor.offset ? cursor.dirty_end : cursor.offset;
        cursor.offset = static_cast<std::uint32_t>(reinterpret_cast<char*>(block) - start);
        --cursor.blocks;
        --cursor.block_delta;
        cursor.byte_delta -= static_cast<std::int64_t>(block->size);
        block->mark = block->freed_mark(region->cookie);
    }
    fence();
    cursor.busy = false;
    return newest;
}

std::size_t Arena::usable_size(const void* p) const {
    return checked(const_cast<void*>(p), "malloc_usable_size")->size;
}

bool Arena::resize_in_place(ArenaCursor& cursor, void* p, std::size_t size) {
    Block* block = checked(p, "realloc");
    Region* region = region_.load(std::memory_order_relaxed);
    const std::size_t before = block->size;
    if (size > (chunk_size << (span_classes - 1))) return false;
    const std::size_t wanted = size == 0 ? 16 : round_up(size, 16);
    const bool large = region->chunks[block->chunk].state.load(std::memory_order_relaxed) == ChunkState::large;
    if (!(large ? resize_large(block, wanted) : resize_newest(cursor, block, wanted))) return size <= before;
    note(cursor, 0, static_cast<std::int64_t>(wanted) - static_cast<std::int64_t>(before));
    return true;
}

// The caller holds the only block of the span, so the span is the caller's alone.
bool Arena::resize_large(Block* block, std::size_t wanted) {
    Region* region = region_.load(std::memory_order_relaxed);
    Chunk& chunk = region->chunks[block->chunk];
    char* start = region->start_of(block->chunk);
    const std::size_t span = chunk_size << chunk.span_class;
    const auto offset = static_cast<std::size_t>(static_cast<char*>(block->payload()) - start);
    if (offset + wanted > span) return false;
    const std::size_t used = std::size_t{chunk.used_kib} << 10;
    const std::size_t end = round_up(offset + wanted, 4096);
    const std::size_t needed = end > span / 2 ? end : span / 2;
    if (needed > used && !charge_or_cool(needed - used)) return false;
    const std::size_t from = round_up(end, page_multiple);
    if (from < used) raw::discard(start + from, round_up(used, page_multiple) - from);
    if (needed < used) discharge(used - needed);
    chunk.used_kib = static_cast<std::uint32_t>(needed >> 10);
    block->size = wanted;
    block->mark = block->live_mark(region->cookie);
    return true;
}

bool Arena::resize_newest(ArenaCursor& cursor, Block* block, std::size_t wanted) {
    if (cursor.busy) return false;
    cursor.busy = true;
    fence();
    Region* region = region_.load(std::memory_order_relaxed);
    char* start = region->start_of(block->chunk);
    const auto end = static_cast<std::size_t>(static_cast<char*>(block->payload()) - start) + wanted;
    const bool fits = cursor.chunk == block->chunk + 1 && block->end() == start + cursor.offset && end <= chunk_size;
    if (fits) {
        cursor.dirty_end = cursor.dirty_end > cursor.offset ? cursor.dirty_end : cursor.offset;
        cursor.offset = static_cast<std::uint32_t>(end);
        block->size = wanted;
        block->mark = block->live_mark(region->cookie);
    }
    fence();
    cursor.busy = false;
    return fits;
}

void Arena::note(ArenaCursor& cursor, std::int32_t blocks, std::int64_t bytes) {
    if (cursor.busy) {  // We have interrupted our own thread in the middle of the same sums.
        count(stats_.arena_live_blocks, static_cast<std::uint64_t>(std::int64_t{blocks}));
        count(stats_.arena_live_bytes, static_cast<std::uint64_t>(bytes));
        return;
    }
    cursor.busy = true;
    fence();
    cursor.block_delta += blocks;
    cursor.byte_delta += bytes;
    fence();
    cursor.busy = false;
}

void Arena::publish(ArenaCursor& cursor) {
    const std::int32_t blocks = cursor.block_delta;
    const std::int64_t bytes = cursor.byte_delta;
    if (blocks == 0 && bytes == 0) return;
    note(cursor, -blocks, -bytes);
    // Two's complement: adding a negative delta to the unsigned counter subtracts.
    count(stats_.arena_live_blocks, static_cast<std::uint64_t>(std::int64_t{blocks}));
    count(stats_.arena_live_bytes, static_cast<std::uint64_t>(bytes));
}

}  // namespace unknot
