// SPDX-License-Identifier: Apache-2.0
// A chunk: 64 KiB of the arena's range and the 16 bytes that describe it, kept apart from it so that its pages can go
// back to the kernel whole. A span is 2^class chunks in a row and is described by its first chunk.
//
// Thread safety: `live`, `next` and `state` may be touched by anyone at any time; the other fields belong to whoever
// holds the span alone: its owner while it is handed out and not yet retired, the one thread that recycles it, or the
// one thread that took it from the frontier or a free list.
//
// (1) live counts bytes of blocks, headers included, and starts at `owned`; a large span holds one block and has 1
// while
//     that is live. Freeing a block subtracts its share, except that the chunk's owner keeps its own frees to itself
//     until it retires the chunk, which subtracts `owned` minus what it handed out and did not free. Whoever adopts a
//     retired chunk adds `owned` again, only while something in it is live (arena_rooms.cpp). So live == 0 is reached
//     once, only after retirement, and exactly one thread sees its own subtraction reach it: that thread recycles.
// (2) A span is in a list only between recycle (or a failed commit) and the pop that takes it, so no block of a
//     listed span is in anybody's hands.
// (3) Metadata is never unmapped: reading a stale index is safe, acting on it is stopped by the list's generation.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace unknot {

inline constexpr std::size_t chunk_size = std::size_t{64} << 10;
inline constexpr unsigned span_classes = 25;  // 64 KiB to 1 TiB
inline constexpr unsigned warm_classes = 9;   // 64 KiB to 16 MiB: these may keep their pages for a while

enum class ChunkState : std::uint8_t {
    untouched,  // beyond the frontier, or not the first chunk of its span
    listed,     // in a free list
    bump,       // blocks are cut from it one after the other
    large,      // one block with pages of its own
    inside,     // not the first chunk, but the header of a large, widely aligned block stands here
    left,       // the same, after that block was freed
};

struct Chunk {
    static constexpr std::uint32_t owned = 1u << 30;

    std::atomic<std::uint32_t> live;
    // The following span in the free list: index + 1, 0 at the end. Where `state` is inside: the span's first chunk.
    std::atomic<std::uint32_t> next;
    std::uint32_t used_kib;  // what the span is charged with, in KiB; 0: it holds no pages
    std::uint8_t span_class;
    std::atomic<ChunkState> state;
    bool dirty;              // may hold something else than zeroes
    std::uint8_t committed;  // readable and writable from the span's start: this many units of commit_unit
};
static_assert(sizeof(Chunk) == 16);

// A span becomes writable as far as it is needed, in at most 64 steps: what is writable is part of a core dump.
inline constexpr std::size_t commit_unit(unsigned span_class) {
    return chunk_size << (span_class > 6 ? span_class - 6 : 0);
}

// A lock-free stack of spans of one class. The head carries a generation that every push and pop advances, so that a
// pop which slept while its span was taken, used and given back finds another head (the ABA problem).
class SpanList {
  public:
    void push(Chunk* chunks, std::uint32_t index) {
        std::uint64_t head = head_.load(std::memory_order_relaxed);  // only a guess: the exchange checks it
        do {
            // Relaxed: the exchange below publishes it.
            chunks[index].next.store(static_cast<std::uint32_t>(head), std::memory_order_relaxed);
            // Release pairs with the acquire in pop: whoever takes the span sees its metadata and its empty pages.
        } while (!head_.compare_exchange_weak(head, advance(head, index + 1), std::memory_order_release,
                                              std::memory_order_relaxed));
    }

    // The index of a span that is now the caller's alone, or -1.
    std::int64_t pop(const Chunk* chunks) {
        // Acquire pairs with the release in push: `next` and the metadata of the first span are visible.
        std::uint64_t head = head_.load(std::memory_order_acquire);
        while (static_cast<std::uint32_t>(head) != 0) {
            const std::uint32_t index = static_cast<std::uint32_t>(head) - 1;
            // Relaxed, and perhaps stale: then the generation has moved on and the exchange fails.
            const std::uint32_t next = chunks[index].next.load(std::memory_order_relaxed);
            // Acquire on success and failure alike, for the next round's `next` and for the taker.
            if (head_.compare_exchange_weak(head, advance(head, next), std::memory_order_acquire,
                                            std::memory_order_acquire)) {
                return index;
            }
        }
        return -1;
    }

  private:
    static constexpr std::uint64_t advance(std::uint64_t head, std::uint32_t first) {
        return (((head >> 32) + 1) << 32) | first;
    }

    std::atomic<std::uint64_t> head_{0};  // generation << 32 | index + 1
};

}  // namespace unknot
