// SPDX-License-Identifier: Apache-2.0
// Empty spans that wait with their pages for the next block of their size, within a stretch most of all: what a walk
// allocates and frees again and again it faults in once.
// Relaxed, everywhere: the caller has looked at the region, a span in nobody's hands tells nobody anything,
// `warm_bytes_` is a target, and what the lists hand out they publish themselves.
#include "shim/arena/arena.h"
#include "shim/arena/arena_region.h"

namespace unknot {

// The thread's last empty span serves its next block of that size, with all that it holds: nobody else knows of it, so
// nothing is locked. One that does not fit goes where the others are, and stands in nobody's way. The cursor is busy: a
// handler of this thread leaves the spare alone.
std::int64_t Arena::take_spare_or_span(ArenaCursor& cursor, unsigned span_class, std::size_t end, std::size_t bytes) {
    if (const std::int64_t spare = take_spare(cursor); spare >= 0) {
        const Region* region = region_.load(std::memory_order_relaxed);
        const auto index = static_cast<std::uint32_t>(spare);
        const Chunk& chunk = region->chunks[index];
        const bool fits = chunk.span_class == span_class && bytes <= std::size_t{chunk.used_kib} << 10;
        if (fits && end < bytes + region->page) return spare;
        recycle(cursor, index, Pages::may_stay);
    }
    return take_span(span_class, end, bytes);
}

// The cursor is busy.
std::int64_t Arena::take_spare(ArenaCursor& cursor) {
    const std::int64_t index = std::int64_t{cursor.spare} - 1;
    cursor.spare = 0;
    return index;
}

// The span is the caller's alone, and what it holds begins at its start. False: it may not wait here. Nobody would come
// for what a fleeting cursor keeps.
bool Arena::keep_spare(ArenaCursor& cursor, std::uint32_t index) {
    Chunk& chunk = region_.load(std::memory_order_relaxed)->chunks[index];
    if (!cursor.in_stretch || cursor.fleeting || (chunk_size << chunk.span_class) > kept_by_thread ||
        in_the_middle(cursor))
        return false;
    const Operation operation(cursor);
    if (cursor.spare != 0) return false;
    chunk.state.store(ChunkState::listed, std::memory_order_relaxed);
    cursor.spare = index + 1;
    return true;
}

bool Arena::keep_warm(const ArenaCursor& cursor, std::uint32_t index) {
    Region* region = region_.load(std::memory_order_relaxed);
    const Chunk& chunk = region->chunks[index];
    const std::size_t most = cursor.in_stretch ? kept_in_stretch : chunk.span_class == 0 ? kept_between : 0;
    const std::size_t bytes = std::size_t{chunk.used_kib} << 10;
    if (chunk.span_class >= warm_classes || warm_bytes_.load(std::memory_order_relaxed) + bytes > most) return false;
    warm_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    warm_[chunk.span_class].push(region->chunks, index);
    return true;
}

std::int64_t Arena::take_warm(unsigned span_class) {
    if (span_class >= warm_classes) return -1;
    Region* region = region_.load(std::memory_order_relaxed);
    const std::int64_t index = warm_[span_class].pop(region->chunks);
    if (index >= 0) {
        warm_bytes_.fetch_sub(std::size_t{region->chunks[index].used_kib} << 10, std::memory_order_relaxed);
    }
    return index;
}

// The largest span that waits with its pages goes back. False: none does.
bool Arena::cool_one() {
    for (unsigned span_class = warm_classes; span_class-- > 0;) {
        if (const std::int64_t index = take_warm(span_class); index >= 0) {
            cool(static_cast<std::uint32_t>(index));
            return true;
        }
    }
    return false;
}

// Whatever waits, whoever kept it: another thread's stretch loses pages, never blocks.
void Arena::end_of_stretch(ArenaCursor& cursor) {
    if (!cursor.in_stretch && cursor.spare == 0) return;  // a handler that came in the middle leaves the spare
    cursor.in_stretch = false;
    if (region_.load(std::memory_order_relaxed) == nullptr) return;
    if (cursor.spare != 0 && !in_the_middle(cursor)) {
        const Operation operation(cursor);
        if (const std::int64_t spare = take_spare(cursor); spare >= 0) {
            recycle(cursor, static_cast<std::uint32_t>(spare), Pages::may_stay);
        }
    }
    trim_all(cursor);
    for (unsigned span_class = warm_classes; --span_class > 0;) {
        for (std::int64_t index; (index = take_warm(span_class)) >= 0;) cool(static_cast<std::uint32_t>(index));
    }
    while (warm_bytes_.load(std::memory_order_relaxed) > kept_between && cool_one()) {
    }
}

}  // namespace unknot
