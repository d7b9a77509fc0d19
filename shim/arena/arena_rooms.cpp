// SPDX-License-Identifier: Apache-2.0
// Room in chunks that blocks outlive: one kept block of 256 bytes must not hold 64 KiB. What lies free between the
// blocks of a retired chunk is cut from again, and where nobody does, its whole pages go back to the kernel.
//
// (1) Whoever adds `owned` to the count of a retired chunk has it as if it had just cut all that is live in it: nobody
//     recycles it, nobody else adopts it, others go on freeing blocks in it. A count of at least the smallest block's
//     footprint and without `owned` tells a retired chunk from everything else: empty and listed ones have 0, large
//     spans 1.
// (2) Room is what lies between two live headers. It is found by going from header to header, which only the owner of
//     the chunk may do, and nothing but a mark that says so makes a block free: a header that was overwritten ends the
//     search, as if all behind it were live.
#include "shim/arena/arena.h"
#include "shim/arena/arena_region.h"

namespace unknot {

namespace {

constexpr std::uint32_t smallest_footprint = 32;
// A chunk is worth adopting when three quarters of it are free, and its pages are worth a call to the kernel when fewer
// live bytes than these are left.
constexpr std::uint32_t worth_adopting = chunk_size / 4;
constexpr std::uint32_t worth_trimming[] = {chunk_size / 16, chunk_size / 64, chunk_size / 128};
// How many chunks are looked at, four to a cache line, before a new one is taken, and how many of them are adopted in
// vain because their room is in pieces.
constexpr std::uint32_t most_looked_at = 64;
constexpr int most_in_vain = 2;

bool crosses(std::uint32_t before, std::uint32_t after) {
    for (const std::uint32_t bound : worth_trimming) {
        if (before > bound && after <= bound) return true;
    }
    return false;
}

}  // namespace

// From `at` to the next live header: behind the room that lies there, or `at` itself if there is none. Acquire pairs
// with the release of the free that left the mark: the freed block's last accesses lie before our reuse.
char* Arena::end_of_room(char* at, char* chunk_end) const {
    const std::uint64_t cookie = this->cookie();
    while (at < chunk_end) {
        auto* block = reinterpret_cast<Block*>(at);
        const std::uint64_t mark = std::atomic_ref(block->mark).load(std::memory_order_acquire);
        // Relaxed: of a freed block nobody changes it any more.
        const std::uint64_t size = std::atomic_ref(block->size).load(std::memory_order_relaxed);
        const std::uint64_t live = reinterpret_cast<std::uintptr_t>(at) ^ size ^ cookie;
        if ((mark ^ live) != ~std::uint64_t{0} && (mark ^ live) != Block::filler) break;
        // Whoever writes over a header does not make a mark that fits; the bound is for the walk's sake.
        at = block->payload() + (size < chunk_size ? size : chunk_size);
    }
    return at < chunk_end ? at : chunk_end;
}

// Behind the block at `at`, or the chunk's end if nobody can say.
char* Arena::behind(char* at, char* chunk_end) {
    auto* block = reinterpret_cast<Block*>(at);
    // Acquire pairs with the release in shrink_small: the filler behind the shorter block is there.
    const std::uint64_t size = std::atomic_ref(block->size).load(std::memory_order_acquire);
    const bool fits = size % 16 == 0 && size <= static_cast<std::size_t>(chunk_end - block->payload());
    return fits ? block->payload() + size : chunk_end;
}

// What is left of the cursor's room becomes a filler. The cursor is busy.
void Arena::close_room(ArenaCursor& cursor) {
    if (cursor.next == cursor.end) return;
    reinterpret_cast<Block*>(cursor.next)->become_filler(static_cast<std::size_t>(cursor.end - cursor.next), cookie());
}

// Moves the cursor to the next room of `bytes` or more in its chunk. The cursor is busy.
bool Arena::next_room(ArenaCursor& cursor, std::size_t bytes) {
    char* const chunk_end = cursor.chunk + chunk_size;
    for (char* at = cursor.end; at < chunk_end;) {
        char* const room = at;
        at = end_of_room(at, chunk_end);
        if (static_cast<std::size_t>(at - room) >= bytes) {
            count_cut(cursor);
            close_room(cursor);
            const auto skipped = static_cast<std::uint32_t>(room - cursor.next);
            cursor.dirty_end = chunk_end;
            cursor.next = cursor.counted = room;
            fence();  // invariant 3 of arena.h: in between, what is skipped is taken for blocks
            cursor.freed += skipped;
            cursor.end = at;
            return true;
        }
        if (at < chunk_end) at = behind(at, chunk_end);
    }
    return false;
}

// Invariant 1. Acquire: all that was done in the chunk before it was retired.
bool Arena::take_retired(std::uint32_t index, std::uint32_t most) {
    std::atomic<std::uint32_t>& live = region_.load(std::memory_order_relaxed)->chunks[index].live;
    std::uint32_t now = live.load(std::memory_order_relaxed);  // only a guess: the exchange checks it
    return now >= smallest_footprint && now <= most &&
           live.compare_exchange_strong(now, now + Chunk::owned, std::memory_order_acquire, std::memory_order_relaxed);
}

// A retired chunk with enough room becomes the cursor's. The cursor is busy and has none.
bool Arena::adopt(ArenaCursor& cursor, std::size_t bytes) {
    Region* region = region_.load(std::memory_order_relaxed);
    const std::uint32_t known = frontier_.load(std::memory_order_relaxed);  // Relaxed, both: where to look, no more.
    std::uint32_t at = looked_at_.load(std::memory_order_relaxed);
    int in_vain = 0;
    for (std::uint32_t looked = 0; looked < most_looked_at && looked < known && in_vain < most_in_vain;
         ++looked, ++at) {
        if (at >= known) at = 0;
        if (!take_retired(at, worth_adopting)) continue;
        Chunk& chunk = region->chunks[at];
        const std::size_t uncharged = chunk_size - (std::size_t{chunk.used_kib} << 10);
        if (uncharged != 0 && !charge_or_cool(uncharged)) {
            give_up(cursor, at, Chunk::owned);
            break;
        }
        chunk.used_kib = chunk_size >> 10;
        cursor.next = cursor.end = cursor.counted = region->start_of(at);
        cursor.freed = 0;
        fence();
        cursor.chunk = cursor.next;
        if (next_room(cursor, bytes)) {
            looked_at_.store(at + 1, std::memory_order_relaxed);
            return true;
        }
        retire_chunk(cursor);
        ++in_vain;
    }
    looked_at_.store(at, std::memory_order_relaxed);
    return false;
}

// Without some of its pages a chunk is no use to whoever wants a span's first pages.
Arena::Pages Arena::pages_of(const Chunk& chunk) {
    return chunk.used_kib == chunk_size >> 10 ? Pages::may_stay : Pages::go;
}

// Takes a share off the count of a chunk: a block that was freed, or its owner's. Release: our last accesses lie before
// its reuse. Acquire: if nothing is left, so do everybody's (invariant 1 of chunk.h).
void Arena::give_up(ArenaCursor& cursor, std::uint32_t index, std::uint32_t share) {
    Chunk& chunk = region_.load(std::memory_order_relaxed)->chunks[index];
    const std::uint32_t before = chunk.live.fetch_sub(share, std::memory_order_acq_rel);
    if (before == share) return recycle(cursor, index, pages_of(chunk));
    if (before - share > chunk_size || !crosses(before, before - share)) return;
    // Within a stretch the room is cut from again, most likely.
    if (cursor.in_stretch) {
        cursor.left_rooms = true;
        return;
    }
    // Who frees one block after the other is through with this chunk in a moment, and then it goes as a whole. So its
    // turn comes with the next one's: one chunk of the process waits. Relaxed: a guess, checked by `trim`.
    const std::uint32_t before_it = to_trim_.exchange(index + 1, std::memory_order_relaxed);
    if (before_it != 0 && before_it != index + 1) trim(cursor, before_it - 1, Trim::again);
}

// Gives the free pages of a retired chunk back.
void Arena::trim(const ArenaCursor& cursor, std::uint32_t index, Trim which) {
    if (!take_retired(index, worth_trimming[0])) return;
    Region* region = region_.load(std::memory_order_relaxed);
    Chunk& chunk = region->chunks[index];
    if (which == Trim::again || chunk.used_kib == chunk_size >> 10) discard_rooms(index);
    // As in give_up, but a free that crosses a bound meanwhile is left to the next one.
    if (chunk.live.fetch_sub(Chunk::owned, std::memory_order_acq_rel) == Chunk::owned) {
        recycle(cursor, index, pages_of(chunk));
    }
}

// The chunk is the caller's.
void Arena::discard_rooms(std::uint32_t index) {
    Region* region = region_.load(std::memory_order_relaxed);
    Chunk& chunk = region->chunks[index];
    char* const start = region->start_of(index);
    char* const end = start + chunk_size;
    std::size_t gone = 0;
    for (char* at = start; at < end;) {
        char* const room = at;
        at = end_of_room(at, end);
        const std::uintptr_t first = round_up(reinterpret_cast<std::uintptr_t>(room) + sizeof(Block), region->page);
        const std::uintptr_t last = reinterpret_cast<std::uintptr_t>(at) & ~(region->page - 1);
        if (first < last) {
            // One header for all of it: the others go with their pages.
            reinterpret_cast<Block*>(room)->become_filler(static_cast<std::size_t>(at - room), cookie());
            if (raw::discard(reinterpret_cast<void*>(first), last - first)) gone += last - first;
        }
        if (at < end) at = behind(at, end);
    }
    // Every free page is gone now, those of an earlier time too.
    const std::size_t used = std::size_t{chunk.used_kib} << 10;
    if (chunk_size - gone < used) {
        discharge(used - (chunk_size - gone));
        chunk.used_kib = static_cast<std::uint32_t>((chunk_size - gone) >> 10);
    }
}

// After a stretch in which chunks became nearly empty and were not cut from again.
void Arena::trim_all(ArenaCursor& cursor) {
    if (!cursor.left_rooms) return;
    cursor.left_rooms = false;
    Region* region = region_.load(std::memory_order_relaxed);
    const std::uint32_t known = frontier_.load(std::memory_order_relaxed);
    for (std::uint32_t index = 0; index < known; ++index) {
        // Relaxed: a guess, checked by whoever acts on it.
        if (region->chunks[index].live.load(std::memory_order_relaxed) <= worth_trimming[0]) {
            trim(cursor, index, Trim::once);
        }
    }
}

}  // namespace unknot
