// SPDX-License-Identifier: Apache-2.0
#include "shim/arena.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>

#include <bit>

#include "shim/report.h"

namespace unknot {
namespace {

constexpr std::size_t round_up(std::size_t n, std::size_t unit) {
    return (n + unit - 1) & ~(unit - 1);
}
constexpr std::size_t smallest_reservation = std::size_t{1} << 20;
constexpr std::size_t metadata_step = page_multiple / sizeof(Chunk);  // chunks whose metadata is committed at a time
constexpr std::uint32_t warm_chunks = 16;  // this many emptied chunks (1 MiB) keep their pages for the next walk

// Keeps the compiler from moving the cursor's fields across the changes of `busy`. Enough for a signal handler on the
// same thread, and nobody else reads a cursor.
inline void fence() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

unsigned class_of(std::size_t bytes) {
    return bytes <= chunk_size ? 0 : static_cast<unsigned>(std::bit_width((bytes - 1) / chunk_size));
}

// A span is charged with half its size at least, so the live spans of one class never hold more than twice the limit
// in address space, and no class takes from another before the frontier is used up: with this much, address space does
// not run out before the limit does.
std::size_t reservation_for(std::size_t limit) {
    const std::size_t bytes = round_up(2 * limit * (class_of(limit) + std::size_t{1}), page_multiple);
    return bytes < smallest_reservation ? smallest_reservation : bytes;
}

alignas(16) constinit char static_memory[Arena::static_reserve + chunk_size]{};
constinit std::atomic<bool> static_memory_taken{false};

}  // namespace

// The header before every payload. `mark` binds it to its place, its size and this process: a stray write, a foreign
// pointer or a stale header goes unnoticed once in 2^31.
struct Arena::Block {
    std::uint64_t size;   // usable bytes of the payload
    std::uint32_t chunk;  // the first chunk of the span
    std::uint32_t mark;

    void* payload() { return this + 1; }
    char* end() { return static_cast<char*>(payload()) + size; }

    std::uint32_t live_mark(std::uint64_t cookie) const {
        std::uint64_t mixed = (reinterpret_cast<std::uintptr_t>(this) ^ cookie) + size * 0x9e3779b97f4a7c15u;
        mixed = (mixed ^ (mixed >> 29) ^ chunk) * 0xbf58476d1ce4e5b9u;
        return static_cast<std::uint32_t>(mixed >> 32) | 1u;  // never 0: fresh pages are no header
    }
    std::uint32_t freed_mark(std::uint64_t cookie) const { return ~live_mark(cookie); }
};

// Lies at the start of the reservation; the chunks' metadata follows it.
struct Arena::Region {
    char* spans;
    std::size_t bytes;
    std::uint32_t chunk_count;
    bool writable;  // from the start, without commit: the static reserve
    std::uint64_t cookie;
    Chunk chunks[1];  // chunk_count of them

    char* start_of(std::uint32_t index) const { return spans + std::size_t{index} * chunk_size; }
    std::uint32_t index_of(const void* p) const {
        return static_cast<std::uint32_t>(static_cast<std::size_t>(static_cast<const char*>(p) - spans) / chunk_size);
    }
};

Arena::Region* Arena::region() {
    // Acquire pairs with the release in publish_region: the region's fields are visible.
    Region* known = region_.load(std::memory_order_acquire);
    return known != nullptr ? known : reserve();
}

// Halves the wish until the kernel grants it; at the end stands the static reserve. Under RLIMIT_AS at most a sixteenth
// of the limit: the program needs the rest.
Arena::Region* Arena::reserve() {
    std::size_t wish = reservation_for(limit_.load(std::memory_order_relaxed));
    rlimit address_space{};
    if (!raw::failed(raw::call(SYS_prlimit64, 0, RLIMIT_AS, 0, raw::address(&address_space))) &&
        address_space.rlim_cur != RLIM_INFINITY && address_space.rlim_cur / 16 < wish) {
        wish = round_up(address_space.rlim_cur / 16, page_multiple);
    }
    for (; wish >= smallest_reservation; wish = round_up(wish / 2, page_multiple)) {
        void* memory = raw::reserve(wish);
        if (memory == nullptr) continue;
        if (!raw::commit(memory, page_multiple)) {
            raw::release(memory, wish);
            break;
        }
        Region* winner = publish_region(memory, wish, false);
        if (static_cast<void*>(winner) != memory) raw::release(memory, wish);
        return winner;
    }
    // Relaxed: one winner is all that is asked. A loser that comes before the winner is done is told "no room".
    if (static_memory_taken.exchange(true, std::memory_order_relaxed)) return region_.load(std::memory_order_acquire);
    set_flag(stats_, StatsFlag::static_reserve);
    report::static_reserve(static_reserve);
    return publish_region(static_memory, sizeof static_memory, true);
}

Arena::Region* Arena::publish_region(void* memory, std::size_t bytes, bool writable) {
    auto* fresh = static_cast<Region*>(memory);
    const auto first = reinterpret_cast<std::uintptr_t>(memory);
    const std::size_t metadata = sizeof(Region) + bytes / chunk_size * sizeof(Chunk);
    const std::uintptr_t spans = round_up(first + metadata, chunk_size);
    fresh->spans = reinterpret_cast<char*>(spans);
    fresh->bytes = bytes;
    fresh->chunk_count = static_cast<std::uint32_t>((first + bytes - spans) / chunk_size);
    fresh->writable = writable;
    if (const auto* random = reinterpret_cast<const char*>(getauxval(AT_RANDOM))) {
        memcpy(&fresh->cookie, random, sizeof fresh->cookie);
    }
    Region* winner = nullptr;
    // Release publishes the fields above; acquire on failure shows the winner's.
    if (claimed_.compare_exchange_strong(winner, fresh, std::memory_order_acq_rel, std::memory_order_acquire)) {
        winner = fresh;
    }
    // Winner and losers alike store the same values, so that nobody hands out a block before `contains` knows it, not
    // even when the winner is stopped here or is missing in the child of a fork.
    minus_base_.store(0 - reinterpret_cast<std::uintptr_t>(winner), std::memory_order_relaxed);
    size_.store(winner->bytes, std::memory_order_relaxed);
    if (winner->writable) metadata_ready_.store(winner->chunk_count, std::memory_order_relaxed);
    set(stats_.arena_reserved, winner->bytes);
    // Release: whoever finds the region here finds the range and the region's fields too.
    region_.store(winner, std::memory_order_release);
    return winner;
}

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

// A span of the class, writable, charged with `bytes`; -1 if there is none.
std::int64_t Arena::take_span(unsigned span_class, std::size_t bytes) {
    Region* region = region_.load(std::memory_order_relaxed);  // Relaxed: the caller has looked at it.
    if (span_class == 0) {
        if (const std::int64_t warm = warm_chunks_.pop(region->chunks); warm >= 0) {
            warm_.fetch_sub(1, std::memory_order_relaxed);  // Relaxed: a target, not a rule.
            return warm;
        }
    }
    const std::size_t least = (chunk_size << span_class) / 2;
    if (bytes < least) bytes = least;
    std::int64_t index = free_[span_class].pop(region->chunks);
    if (index < 0) index = advance_frontier(span_class);
    // Address space is used up: a larger span than needed will do.
    for (unsigned larger = span_class + 1; index < 0 && larger < span_classes; ++larger) {
        index = free_[larger].pop(region->chunks);
    }
    if (index < 0) return -1;
    Chunk& chunk = region->chunks[index];
    if (charge_or_cool(bytes)) {
        if (chunk.committed ||
            raw::commit(region->start_of(static_cast<std::uint32_t>(index)), chunk_size << chunk.span_class)) {
            chunk.committed = true;
            chunk.used_kib = static_cast<std::uint32_t>(round_up(bytes, 4096) >> 10);
            return index;
        }
        discharge(bytes);
    }
    chunk.state.store(ChunkState::listed, std::memory_order_relaxed);
    free_[chunk.span_class].push(region->chunks, static_cast<std::uint32_t>(index));
    return -1;
}

std::int64_t Arena::advance_frontier(unsigned span_class) {
    Region* region = region_.load(std::memory_order_relaxed);
    const std::uint32_t chunks = 1u << span_class;
    // Relaxed: an index is handed out once, by the exchange; what it indexes is published by other means.
    std::uint32_t index = frontier_.load(std::memory_order_relaxed);
    do {
        if (region->chunk_count - index < chunks) return -1;
        // Before the index is taken, so that no chunk is lost when the kernel refuses. Twice does no harm.
        // Acquire pairs with the release below; the pages themselves are the kernel's word.
        std::uint32_t ready = metadata_ready_.load(std::memory_order_acquire);
        while (ready < index + chunks) {
            const auto wanted = static_cast<std::uint32_t>(round_up(index + chunks, metadata_step));
            char* from = reinterpret_cast<char*>(region) + page_multiple * (ready / metadata_step);
            // One step more than the chunks need: Region itself stands before the first of them.
            const std::size_t bytes =
                page_multiple * (wanted / metadata_step + 1) - page_multiple * (ready / metadata_step);
            const std::size_t room = static_cast<std::size_t>(region->spans - from);
            if (!raw::commit(from, bytes < room ? bytes : room)) return -1;
            if (metadata_ready_.compare_exchange_weak(ready, wanted, std::memory_order_release,
                                                      std::memory_order_acquire)) {
                break;
            }
        }
    } while (
        !frontier_.compare_exchange_weak(index, index + chunks, std::memory_order_relaxed, std::memory_order_relaxed));
    region->chunks[index].span_class = static_cast<std::uint8_t>(span_class);
    region->chunks[index].committed = region->writable;
    return index;
}

bool Arena::charge(std::size_t bytes) {
    bytes = round_up(bytes, 4096);
    std::atomic_ref<std::uint64_t> committed(stats_.arena_committed);
    const std::size_t limit = limit_.load(std::memory_order_relaxed);
    // Relaxed: only the sum matters, and the exchange keeps it exact.
    std::uint64_t now = committed.load(std::memory_order_relaxed);
    do {
        if (now + bytes > limit) return false;
    } while (!committed.compare_exchange_weak(now, now + bytes, std::memory_order_relaxed));
    std::atomic_ref<std::uint64_t> peak(stats_.arena_peak);
    std::uint64_t highest = peak.load(std::memory_order_relaxed);
    while (highest < now + bytes && !peak.compare_exchange_weak(highest, now + bytes, std::memory_order_relaxed)) {
    }
    return true;
}

// Chunks that only wait with their pages for the next walk must not make a block fail.
bool Arena::charge_or_cool(std::size_t bytes) {
    while (!charge(bytes)) {
        const std::int64_t index = warm_chunks_.pop(region_.load(std::memory_order_relaxed)->chunks);
        if (index < 0) return false;
        warm_.fetch_sub(1, std::memory_order_relaxed);  // Relaxed: a target, not a rule.
        cool(static_cast<std::uint32_t>(index));
    }
    return true;
}

void Arena::discharge(std::size_t bytes) {
    std::atomic_ref(stats_.arena_committed).fetch_sub(round_up(bytes, 4096), std::memory_order_relaxed);
}

// The span is the caller's alone (invariant 1 of chunk.h). A few small ones keep their pages for the next walk.
void Arena::recycle(std::uint32_t index) {
    Region* region = region_.load(std::memory_order_relaxed);
    Chunk& chunk = region->chunks[index];
    chunk.state.store(ChunkState::listed, std::memory_order_relaxed);
    count(stats_.chunks_recycled);
    // Relaxed: a target, not a rule.
    if (chunk.span_class == 0 && chunk.used_kib == chunk_size >> 10 &&
        warm_.load(std::memory_order_relaxed) < warm_chunks) {
        warm_.fetch_add(1, std::memory_order_relaxed);
        return warm_chunks_.push(region->chunks, index);
    }
    cool(index);
}

// Gives the pages of a span that is the caller's alone back and lists it. A refusal by the kernel costs memory, never
// correctness: the span stays marked as dirty. The whole span, not what was in use at the end: the kernel may have
// refused to take the rest before.
void Arena::cool(std::uint32_t index) {
    Region* region = region_.load(std::memory_order_relaxed);
    Chunk& chunk = region->chunks[index];
    if (raw::discard(region->start_of(index), chunk_size << chunk.span_class)) chunk.dirty = false;
    discharge(std::size_t{chunk.used_kib} << 10);
    chunk.used_kib = 0;
    free_[chunk.span_class].push(region->chunks, index);
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

void Arena::destroy() {
    claimed_.store(nullptr, std::memory_order_relaxed);
    if (Region* region = region_.exchange(nullptr, std::memory_order_acquire)) {
        size_.store(0, std::memory_order_relaxed);
        if (static_cast<void*>(region) != static_memory) raw::release(region, region->bytes);
    }
}

}  // namespace unknot
