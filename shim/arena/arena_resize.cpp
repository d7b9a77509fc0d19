// SPDX-License-Identifier: Apache-2.0
// Blocks that change their size where they are.
#include "shim/arena/arena.h"

#include "shim/arena/arena_region.h"

namespace unknot {

std::size_t Arena::usable_size(const void* p) const {
    return checked(const_cast<void*>(p), "malloc_usable_size")->size;
}

bool Arena::resize_in_place(ArenaCursor& cursor, void* p, std::size_t size) {
    Block* block = checked(p, "realloc");
    const std::size_t before = block->size;
    if (size > (chunk_size << (span_classes - 1))) return false;
    const std::size_t wanted = size == 0 ? 16 : round_up(size, 16);
    Region* region = region_.load(std::memory_order_relaxed);  // Relaxed, both: as in give_back.
    const bool small =
        region->chunks[region->index_of(block)].state.load(std::memory_order_relaxed) == ChunkState::bump;
    if (!(small ? resize_newest(cursor, block, wanted) : resize_large(block, wanted))) return size <= before;
    if (!small) note(cursor, 0, static_cast<std::int64_t>(wanted) - static_cast<std::int64_t>(before));
    return true;
}

// The caller holds the only block of the span, so the span is the caller's alone.
bool Arena::resize_large(Block* block, std::size_t wanted) {
    Region* region = region_.load(std::memory_order_relaxed);  // Relaxed, here and below: as in give_back.
    std::uint32_t index = region->index_of(block);
    if (region->chunks[index].state.load(std::memory_order_relaxed) == ChunkState::inside) {
        index = region->chunks[index].next.load(std::memory_order_relaxed);
    }
    Chunk& chunk = region->chunks[index];
    char* start = region->start_of(index);
    const std::size_t span = chunk_size << chunk.span_class;
    const auto offset = static_cast<std::size_t>(block->payload() - start);
    if (offset + wanted > span) return false;
    const std::size_t used = std::size_t{chunk.used_kib} << 10;
    const std::size_t end = round_up(offset + wanted, 4096);
    const std::size_t needed = end > span / 2 ? end : span / 2;
    if (!make_writable(index, end)) return false;
    if (needed > used && !charge_or_cool(needed - used)) return false;
    const std::size_t from = round_up(end, page_multiple);
    if (from < used) raw::discard(start + from, round_up(used, page_multiple) - from);
    if (needed < used) discharge(used - needed);
    chunk.used_kib = static_cast<std::uint32_t>(needed >> 10);
    block->size = wanted;
    block->mark = block->live_mark(cookie());
    return true;
}

bool Arena::resize_newest(ArenaCursor& cursor, Block* block, std::size_t wanted) {
    if (cursor.busy) return false;
    cursor.busy = true;
    fence();
    const bool fits = is_in_chunk(cursor, block->start()) && block->end() == cursor.next &&
                      wanted <= static_cast<std::size_t>(cursor.end - block->payload());
    if (fits) {
        cursor.note_dirty();
        const bool counted = cursor.counted > block->start();
        if (counted) cursor.byte_delta += static_cast<std::int64_t>(wanted) - static_cast<std::int64_t>(block->size);
        cursor.next = block->payload() + wanted;
        if (counted) cursor.counted = cursor.next;
        block->size = wanted;
        block->mark = block->live_mark(cookie());
    }
    fence();
    cursor.busy = false;
    return fits;
}

}  // namespace unknot
