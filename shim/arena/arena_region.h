// SPDX-License-Identifier: Apache-2.0
// How the arena's memory is laid out: the header of a block, the head of the reservation. For the arena's sources, and
// for the one door that cuts blocks without a call.
#pragma once

#include <string.h>

#include <bit>

#include "shim/arena/arena.h"

namespace [[gnu::visibility("hidden")]] unknot {

inline constexpr std::size_t round_up(std::size_t n, std::size_t unit) {
    return (n + unit - 1) & ~(unit - 1);
}

inline unsigned class_of(std::size_t bytes) {
    return bytes <= chunk_size ? 0 : static_cast<unsigned>(std::bit_width((bytes - 1) / chunk_size));
}

// Keeps the compiler from moving the cursor's fields across the changes of `busy`. Enough for a signal handler on the
// same thread, and nobody else reads a cursor.
inline void fence() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

// The header before every payload. `mark` binds it to its place, its size and this process: a stray write, a foreign
// pointer or a header that was copied does not fit. Exclusive or is enough: what is kept out is accident, not malice.
struct Arena::Block {
    std::uint64_t size;  // usable bytes of the payload
    std::uint64_t mark;

    char* payload() { return reinterpret_cast<char*>(this + 1); }
    char* start() { return reinterpret_cast<char*>(this); }
    char* end() { return payload() + size; }
    std::uint32_t footprint() const { return static_cast<std::uint32_t>(sizeof(Block) + size); }  // of a small one

    std::uint64_t live_mark(std::uint64_t cookie) const {
        return reinterpret_cast<std::uintptr_t>(this) ^ size ^ cookie;
    }
    std::uint64_t freed_mark(std::uint64_t cookie) const { return ~live_mark(cookie); }
    // Headers lie one behind the other, so room in a chunk that is no block's has a header too. Whoever frees an
    // address in there is told that it is none of a block.
    static constexpr std::uint64_t filler = 0x5555555555555555u;
    std::uint64_t filler_mark(std::uint64_t cookie) const { return live_mark(cookie) ^ filler; }
    void become_filler(std::size_t bytes, std::uint64_t cookie) {
        size = bytes - sizeof(Block);
        mark = filler_mark(cookie);
    }
};

// Does a header at `block` lie in the cursor's chunk, as aligned as headers are? One comparison: what is not a multiple
// of 16 ends up in the upper bits. Without a chunk nothing does.
inline bool is_in_chunk(const ArenaCursor& cursor, const char* block) {
    const std::uintptr_t behind =
        reinterpret_cast<std::uintptr_t>(block) - reinterpret_cast<std::uintptr_t>(cursor.chunk);
    return std::rotr(behind, 4) < chunk_size / 16;
}

// Bytes of the cursor's chunk that were handed out and that its own thread has not freed: others may have.
inline std::uint32_t not_freed_here(const ArenaCursor& cursor) {
    return static_cast<std::uint32_t>(cursor.next - cursor.chunk) - cursor.freed;
}

// This thread is changing the cursor until the end of the scope.
class Operation {
  public:
    explicit Operation(ArenaCursor& cursor) : cursor_(cursor), mark_(&cursor) {
        cursor.busy = &mark_;
        fence();
    }
    ~Operation() {
        fence();
        cursor_.busy = nullptr;
    }
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;

  private:
    ArenaCursor& cursor_;
    OperationMark mark_;
};

// Has this call interrupted an operation of its own thread on the cursor? If that operation's mark has been
// overwritten, or would lie in the frame of our caller's caller or below, then its frame is gone: a handler has jumped
// out of it, and the cursor is free again. A mark that nobody has overwritten yet is taken for alive, which costs a
// span of its own.
[[gnu::always_inline]] inline bool in_the_middle(ArenaCursor& cursor) {
    OperationMark* const mark = cursor.busy;
    if (__builtin_expect(mark == nullptr, 1)) return false;
    const volatile char here = 0;
    const auto at = reinterpret_cast<std::uintptr_t>(mark);
    const auto frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    const bool in_our_frame = at >= reinterpret_cast<std::uintptr_t>(&here) && at <= frame;
    if (*mark == &cursor && !in_our_frame) return true;
    if (cursor.counted > cursor.next) cursor.counted = cursor.next;
    if (cursor.end < cursor.next) cursor.end = cursor.next;
    cursor.busy = nullptr;
    return false;
}

// Lies at the start of the reservation; the chunks' metadata follows it.
struct Arena::Region {
    char* spans;
    std::size_t bytes;
    std::uint32_t chunk_count;
    std::size_t page;  // of this machine, in bytes
    bool writable;     // from the start, without commit: the static reserve
    Chunk chunks[1];   // chunk_count of them

    // The whole pages that hold the bytes from `first` to `last`.
    std::size_t backing(const char* first, const char* last) const {
        return round_up(reinterpret_cast<std::uintptr_t>(last), page) -
               (reinterpret_cast<std::uintptr_t>(first) & ~(page - 1));
    }

    char* start_of(std::uint32_t index) const { return spans + std::size_t{index} * chunk_size; }
    std::uint32_t index_of(const void* p) const {
        return static_cast<std::uint32_t>(static_cast<std::size_t>(static_cast<const char*>(p) - spans) / chunk_size);
    }
};

// The straight way: the next block of the cursor's room. Budget: with `deallocate` of the newest block, as many
// instructions as an allocator's thread cache takes for the same.
[[gnu::always_inline]] inline void* Arena::cut_next(ArenaCursor& cursor, std::size_t size, std::size_t alignment,
                                                    bool& dirty) {
    static_assert(sizeof(Block) == 16, "a payload is as aligned as its header");
    // One comparison for nothing (0 - 1 is large) and for too much.
    if (__builtin_expect(size - 1 >= small_limit || alignment > 16 || cursor.busy != nullptr, 0)) return nullptr;
    OperationMark mark = &cursor;  // as Operation, in fewer instructions
    cursor.busy = &mark;
    fence();
    // As a number: without a chunk there is nothing to point at.
    const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(cursor.next) + sizeof(Block) + round_up(size, 16);
    void* payload = nullptr;
    if (__builtin_expect(end <= reinterpret_cast<std::uintptr_t>(cursor.end), 1)) {
        auto* block = reinterpret_cast<Block*>(cursor.next);
        block->size = round_up(size, 16);
        block->mark = block->live_mark(cookie());
        cursor.next = block->end();
        dirty = block->start() < cursor.dirty_end;  // later a handler may have moved the cursor to another chunk
        payload = block->payload();
    }
    fence();
    cursor.busy = nullptr;
    return payload;
}

[[gnu::always_inline]] inline void* Arena::filled(void* payload, Fill fill, bool dirty) {
    const Block* block = static_cast<const Block*>(payload) - 1;
    return fill == Fill::zero && dirty ? memset(payload, 0, block->size) : payload;
}

}  // namespace unknot
