// SPDX-License-Identifier: Apache-2.0
// Spans: the reservation and how it shrinks, the frontier, the lists of empty spans, the account of pages.
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>

#include "shim/arena/arena.h"
#include "shim/arena/arena_region.h"
#include "shim/arena/cookie.h"
#include "shim/log/report.h"

namespace unknot {
namespace {

constexpr std::size_t smallest_reservation = std::size_t{1} << 20;
constexpr std::size_t metadata_step = page_multiple / sizeof(Chunk);  // chunks whose metadata is committed at a time

// A span is charged with a quarter of its size at least (see least_charge), so the live spans of one class never hold
// more than four times the limit in address space, and no class takes from another before the frontier is used up: with
// this much, address space does not run out before the limit does.
std::size_t reservation_for(std::size_t limit) {
    const std::size_t bytes = round_up(4 * limit * (class_of(limit) + std::size_t{1}), page_multiple);
    return bytes < smallest_reservation ? smallest_reservation : bytes;
}

alignas(16) constinit char static_memory[Arena::static_reserve + chunk_size]{};
constinit std::atomic<bool> static_memory_taken{false};

}  // namespace

Arena::Region* Arena::region() {
    // Acquire pairs with the release in publish_region: the region's fields are visible.
    Region* known = region_.load(std::memory_order_acquire);
    return known != nullptr ? known : reserve();
}

// Asked here, at start, where libc asks for RLIMIT_STACK by the same call (seen with glibc 2.31 to 2.41): later a
// sandbox may kill for the question.
void Arena::set_limit(std::size_t bytes) {
    limit_.store(bytes, std::memory_order_relaxed);  // Relaxed, both: plain values.
    rlimit address_space{};
    const bool known = !raw::failed(raw::call(SYS_prlimit64, 0, RLIMIT_AS, 0, raw::address(&address_space)));
    const std::size_t share = known && address_space.rlim_cur != RLIM_INFINITY ? address_space.rlim_cur / 16 : SIZE_MAX;
    most_to_reserve_.store(share, std::memory_order_relaxed);
}

// Halves the wish until the kernel grants it; at the end stands the static reserve. At most a sixteenth of RLIMIT_AS as
// it was at start, and where the kernel still says no, a quarter of what it grants: the program needs the rest.
Arena::Region* Arena::reserve() {
    std::size_t wish = reservation_for(limit_.load(std::memory_order_relaxed));
    const std::size_t most = most_to_reserve_.load(std::memory_order_relaxed);
    if (most < wish) wish = round_up(most, page_multiple);
    bool refused = false;
    for (; wish >= smallest_reservation; wish = round_up(wish / 2, page_multiple)) {
        void* memory = raw::reserve(wish);
        if (memory == nullptr) {
            refused = true;
            continue;
        }
        if (refused && wish / 4 >= smallest_reservation) {
            const std::size_t kept = round_up(wish / 4, page_multiple);
            raw::release(static_cast<char*>(memory) + kept, wish - kept);
            wish = kept;
        }
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
    const std::size_t page = getauxval(AT_PAGESZ);
    fresh->page = page != 0 ? page : page_multiple;
    std::uint64_t random[2]{};
    if (const unsigned long at = getauxval(AT_RANDOM)) memcpy(random, reinterpret_cast<const void*>(at), sizeof random);
    const std::uint64_t cookie = cookie_from(random[0], random[1]);
    Region* winner = nullptr;
    // Release publishes the fields above; acquire on failure shows the winner's.
    if (claimed_.compare_exchange_strong(winner, fresh, std::memory_order_acq_rel, std::memory_order_acquire)) {
        winner = fresh;
    }
    // Winner and losers alike store the same values, so that nobody hands out a block before `contains` knows it, not
    // even when the winner is stopped here or is missing in the child of a fork.
    minus_base_.store(0 - reinterpret_cast<std::uintptr_t>(winner), std::memory_order_relaxed);
    size_.store(winner->bytes, std::memory_order_relaxed);
    cookie_.store(cookie, std::memory_order_relaxed);
    if (winner->writable) metadata_ready_.store(winner->chunk_count, std::memory_order_relaxed);
    set(stats_.arena_reserved, winner->bytes);
    // Release: whoever finds the region here finds the range and the region's fields too.
    region_.store(winner, std::memory_order_release);
    return winner;
}

// What is charged is what is backed. Only a block that is aligned more widely than it is long can need less than a
// quarter of its span; once such spans have taken a quarter of the range, they are charged with their address space.
std::size_t Arena::least_charge(unsigned span_class) const {
    const Region* region = region_.load(std::memory_order_relaxed);
    const bool plenty = frontier_.load(std::memory_order_relaxed) < region->chunk_count / 4;
    return plenty ? 0 : (chunk_size << span_class) / 4;
}

// A span of the class, its first `end` bytes writable, charged with `bytes`; -1 if there is none.
std::int64_t Arena::take_span(unsigned span_class, std::size_t end, std::size_t bytes) {
    Region* region = region_.load(std::memory_order_relaxed);  // Relaxed: the caller has looked at it.
    // What was kept was kept from the span's start: no use to a block that begins further inside.
    if (const std::int64_t warm = end < bytes + region->page ? take_warm(span_class) : -1; warm >= 0) {
        const auto index = static_cast<std::uint32_t>(warm);
        Chunk& chunk = region->chunks[index];
        const std::size_t used = std::size_t{chunk.used_kib} << 10;
        if (bytes <= used) return warm;  // the rest is backed, so it stays charged
        if (make_writable(index, end) && charge_or_cool(bytes - used)) {
            chunk.used_kib = static_cast<std::uint32_t>(bytes >> 10);
            return warm;
        }
        cool(index);
    }
    if (const std::size_t least = least_charge(span_class); bytes < least) bytes = least;
    std::int64_t index = free_[span_class].pop(region->chunks);
    if (index < 0) index = advance_frontier(span_class);
    // Address space is used up: a larger span than needed will do.
    for (unsigned larger = span_class + 1; index < 0 && larger < span_classes; ++larger) {
        index = free_[larger].pop(region->chunks);
    }
    if (index < 0) return -1;
    Chunk& chunk = region->chunks[index];
    if (charge_or_cool(bytes)) {
        if (make_writable(static_cast<std::uint32_t>(index), end)) {
            chunk.used_kib = static_cast<std::uint32_t>(bytes >> 10);
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
    const std::size_t units = (chunk_size << span_class) / commit_unit(span_class);
    region->chunks[index].committed = region->writable ? static_cast<std::uint8_t>(units) : 0;
    return index;
}

// The span is the caller's alone; afterwards its first `bytes` can be written.
bool Arena::make_writable(std::uint32_t index, std::size_t bytes) {
    Region* region = region_.load(std::memory_order_relaxed);
    Chunk& chunk = region->chunks[index];
    const std::size_t unit = commit_unit(chunk.span_class);
    const std::size_t units = (bytes + unit - 1) / unit;
    if (units <= chunk.committed) return true;
    if (!raw::commit(region->start_of(index) + chunk.committed * unit, (units - chunk.committed) * unit)) return false;
    chunk.committed = static_cast<std::uint8_t>(units);
    return true;
}

bool Arena::charge(std::size_t bytes) {
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

// Spans that only wait with their pages for the next block must not make one fail.
bool Arena::charge_or_cool(std::size_t bytes) {
    while (!charge(bytes)) {
        if (!cool_one()) return false;
    }
    return true;
}

void Arena::discharge(std::size_t bytes) {
    std::atomic_ref(stats_.arena_committed).fetch_sub(bytes, std::memory_order_relaxed);
}

// The span is the caller's alone (invariant 1 of chunk.h).
void Arena::recycle(const ArenaCursor& cursor, std::uint32_t index, Pages pages) {
    region_.load(std::memory_order_relaxed)->chunks[index].state.store(ChunkState::listed, std::memory_order_relaxed);
    count(stats_.chunks_recycled);
    if (pages == Pages::go || !keep_warm(cursor, index)) cool(index);
}

// Gives the pages of a span that is the caller's alone back and lists it. A refusal by the kernel costs memory, never
// correctness: the span stays marked as dirty. All that was ever writable, not what was in use at the end: the kernel
// may have refused to take the rest before.
void Arena::cool(std::uint32_t index) {
    Region* region = region_.load(std::memory_order_relaxed);
    Chunk& chunk = region->chunks[index];
    if (raw::discard(region->start_of(index), chunk.committed * commit_unit(chunk.span_class))) chunk.dirty = false;
    discharge(std::size_t{chunk.used_kib} << 10);
    chunk.used_kib = 0;
    free_[chunk.span_class].push(region->chunks, index);
}

void Arena::destroy() {
    claimed_.store(nullptr, std::memory_order_relaxed);
    if (Region* region = region_.exchange(nullptr, std::memory_order_acquire)) {
        size_.store(0, std::memory_order_relaxed);
        if (static_cast<void*>(region) != static_memory) raw::release(region, region->bytes);
    }
}

}  // namespace unknot
