// SPDX-License-Identifier: Apache-2.0
#include "shim/inner_code.h"

#include <atomic>

namespace unknot {

namespace {
// Append-only: a range that is below `known` never changes. A library that is unloaded leaves its range behind; the
// worst that comes of it is that a drain waits for the next call.
constinit InnerRange ranges[inner_ranges_most]{};
constinit std::atomic<std::size_t> known{0};
}  // namespace

void add_inner_range(const InnerRange& range) {
    const std::size_t at =
        known.load(std::memory_order_relaxed);  // Relaxed: writers are serialised by the loader lock.
    for (std::size_t i = 0; i < at; ++i) {
        if (ranges[i].start == range.start && ranges[i].bytes == range.bytes) return;
    }
    if (at == inner_ranges_most) return;
    ranges[at] = range;
    known.store(at + 1, std::memory_order_release);  // pairs with the acquire below: the range is filled in
}

InnerCode inner_code_at(const void* address) {
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    const std::size_t n = known.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < n; ++i) {
        if (at - ranges[i].start < ranges[i].bytes) return ranges[i].what;
    }
    return InnerCode::none;
}

}  // namespace unknot
