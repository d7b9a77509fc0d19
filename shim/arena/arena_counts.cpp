// SPDX-License-Identifier: Apache-2.0
// What of an arena is in use: each thread adds up by itself and now and then gives its sums to the statistics.
#include "shim/arena/arena.h"

#include "shim/arena/arena_region.h"

namespace unknot {

// Adds the blocks that were cut since the last time to the cursor's sums. The cursor is busy.
void Arena::count_cut(ArenaCursor& cursor) {
    while (cursor.counted < cursor.next) {
        auto* block = reinterpret_cast<Block*>(cursor.counted);
        // Relaxed: a filler's mark is our own, and a block's counts whether it has been freed meanwhile or not.
        if (std::atomic_ref(block->mark).load(std::memory_order_relaxed) != block->filler_mark(cookie())) {
            ++cursor.block_delta;
            cursor.byte_delta += static_cast<std::int64_t>(block->size);
        }
        // A stray write into a header may cost the statistics, not the loop.
        cursor.counted += sizeof(Block) + (block->size < chunk_size ? block->size : chunk_size);
    }
    cursor.counted = cursor.next;
}

void Arena::note(ArenaCursor& cursor, std::int32_t blocks, std::int64_t bytes, std::uint32_t large) {
    if (in_the_middle(cursor)) {  // of the same sums
        count(stats_.large_blocks, large);
        count(stats_.arena_live_blocks, static_cast<std::uint64_t>(std::int64_t{blocks}));
        count(stats_.arena_live_bytes, static_cast<std::uint64_t>(bytes));
        return;
    }
    const Operation operation(cursor);
    cursor.block_delta += blocks;
    cursor.byte_delta += bytes;
    cursor.large += large;
}

void Arena::publish_sums(ArenaCursor& cursor) {
    if (in_the_middle(cursor)) return;
    std::int32_t blocks = 0;
    std::int64_t bytes = 0;
    std::uint32_t large = 0;
    {
        const Operation operation(cursor);
        count_cut(cursor);
        blocks = cursor.block_delta;
        bytes = cursor.byte_delta;
        large = cursor.large;
        cursor.block_delta = 0;
        cursor.byte_delta = 0;
        cursor.large = 0;
    }
    if (large != 0) count(stats_.large_blocks, large);
    // Two's complement: adding a negative delta to the unsigned counter subtracts.
    count(stats_.arena_live_blocks, static_cast<std::uint64_t>(std::int64_t{blocks}));
    count(stats_.arena_live_bytes, static_cast<std::uint64_t>(bytes));
}

}  // namespace unknot
