// SPDX-License-Identifier: Apache-2.0
// Blocks that change their size where they are.
#include "shim/arena/arena.h"

#include <string.h>

#include "shim/arena/arena_region.h"

namespace unknot {

std::size_t Arena::usable_size(const void* p) const {
    return checked(const_cast<void*>(p), "malloc_usable_size")->size;
}

bool Arena::resize_in_place(ArenaCursor& cursor, void* p, std::size_t size) {
    Block* block = checked(p, "realloc");
    if (size > (chunk_size << (span_classes - 1))) return false;
    const std::size_t wanted = size == 0 ? 16 : round_up(size, 16);
    Region* region = region_.load(std::memory_order_relaxed);  // Relaxed, both: as in give_back.
    if (region->chunks[region->index_of(block)].state.load(std::memory_order_relaxed) != ChunkState::bump) {
        return resize_large(cursor, block, wanted, Waste::refused);
    }
    return resize_newest(cursor, block, wanted) || shrink_small(cursor, block, wanted);
}

void* Arena::resize(ArenaCursor& cursor, void* p, std::size_t size, std::size_t alignment) {
    if (resize_in_place(cursor, p, size)) return p;
    Block* block = checked(p, "realloc");
    if (size > block->size) return nullptr;
    // Only what is large refuses to shrink.
    void* to = allocate(cursor, size, alignment);
    if (to == nullptr) {
        resize_large(cursor, block, size == 0 ? 16 : round_up(size, 16), Waste::allowed);
        return p;
    }
    memcpy(to, p, round_up(size, 16));  // the room up to the end, which may be known to be zero
    deallocate(cursor, p);
    return to;
}

// A block that others follow: what it no longer needs becomes room of its chunk that is nobody's. It stays as it is
// where nobody can say whether its bytes stand in some cursor's sums: in the middle of an operation, or while another
// thread cuts from its chunk.
bool Arena::shrink_small(ArenaCursor& cursor, Block* block, std::size_t wanted) {
    if (wanted > block->size) return false;
    const auto rest = static_cast<std::uint32_t>(block->size - wanted);
    if (rest < sizeof(Block) || in_the_middle(cursor)) return true;
    Region* region = region_.load(std::memory_order_relaxed);  // Relaxed: as in give_back.
    std::atomic<std::uint32_t>& live = region->chunks[region->index_of(block)].live;
    bool shrinks_elsewhere = false;
    {
        const Operation operation(cursor);
        const bool here = is_in_chunk(cursor, block->start());
        // Acquire pairs with the release in give_up: all blocks of a retired chunk have been counted.
        shrinks_elsewhere = !here && live.load(std::memory_order_acquire) <= chunk_size;
        if (!here && !shrinks_elsewhere) return true;
        // The filler first: whoever goes from header to header finds one behind the block, whatever size it has read.
        reinterpret_cast<Block*>(block->payload() + wanted)->become_filler(rest, cookie());
        std::atomic_ref(block->size).store(wanted, std::memory_order_release);
        std::atomic_ref(block->mark).store(block->live_mark(cookie()), std::memory_order_relaxed);
        const bool uncounted = here && block->start() >= cursor.counted && block->start() < cursor.next;
        if (!uncounted) cursor.byte_delta -= rest;
        if (here) cursor.freed += rest;
    }
    if (shrinks_elsewhere) give_up(cursor, region->index_of(block), rest);
    return true;
}

// The caller holds the only block of the span, so the span is the caller's alone. `wanted` is a multiple of 16.
bool Arena::resize_large(ArenaCursor& cursor, Block* block, std::size_t wanted, Waste waste) {
    Region* region = region_.load(std::memory_order_relaxed);  // Relaxed, here and below: as in give_back.
    const std::size_t before = block->size;
    std::uint32_t index = region->index_of(block);
    if (region->chunks[index].state.load(std::memory_order_relaxed) == ChunkState::inside) {
        index = region->chunks[index].next.load(std::memory_order_relaxed);
    }
    Chunk& chunk = region->chunks[index];
    char* start = region->start_of(index);
    const std::size_t span = chunk_size << chunk.span_class;
    const auto offset = static_cast<std::size_t>(block->payload() - start);
    if (offset + wanted > span) return false;
    // Else many shrunk blocks would hold address space without end. What has to be copied is a quarter at most.
    const std::size_t quarter = span / 4;
    if (waste == Waste::refused && wanted <= quarter && before > quarter) return false;

    const std::size_t used = std::size_t{chunk.used_kib} << 10;
    std::size_t needed = region->backing(block->start(), block->payload() + wanted);
    if (const std::size_t least = least_charge(chunk.span_class); wanted > before && needed < least) needed = least;
    if (!make_writable(index, offset + wanted)) return false;
    if (needed > used && !charge_or_cool(needed - used)) return false;
    if (needed < used && wanted >= before) {
        needed = used;  // pages that the span had kept
    } else if (needed < used) {
        char* end = start + round_up(offset + wanted, region->page);
        // All behind the block's end, not what it was charged with: the kernel may have refused to take the rest
        // before.
        const std::size_t behind = chunk.committed * commit_unit(chunk.span_class);
        raw::discard(end, static_cast<std::size_t>(start + behind - end));
        discharge(used - needed);
    }
    chunk.used_kib = static_cast<std::uint32_t>(needed >> 10);
    block->size = wanted;
    block->mark = block->live_mark(cookie());
    note(cursor, 0, static_cast<std::int64_t>(wanted) - static_cast<std::int64_t>(before));
    return true;
}

bool Arena::resize_newest(ArenaCursor& cursor, Block* block, std::size_t wanted) {
    if (in_the_middle(cursor)) return false;
    const Operation operation(cursor);
    if (!is_in_chunk(cursor, block->start()) || block->end() != cursor.next ||
        wanted > static_cast<std::size_t>(cursor.end - block->payload())) {
        return false;
    }
    cursor.note_dirty();
    const bool counted = cursor.counted > block->start();
    if (counted) cursor.byte_delta += static_cast<std::int64_t>(wanted) - static_cast<std::int64_t>(block->size);
    cursor.next = block->payload() + wanted;
    if (counted) cursor.counted = cursor.next;
    block->size = wanted;
    block->mark = block->live_mark(cookie());
    return true;
}

}  // namespace unknot
