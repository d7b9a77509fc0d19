// SPDX-License-Identifier: Apache-2.0
// How much a thread may divert and put off in one stretch: from its first such call under a loader lock until it is
// seen to own none. Pure; no libc.
//
// A thread can own the load lock for the life of the program (a constructor run by dlopen that is the program), or free
// millions of blocks while a library goes away. What it diverts or puts off in that time is memory that others wait
// for. So a stretch has a budget, as long as rule 2 is in force: a thread inside the allocator never waits for the
// write lock, and under the load lock alone a cycle is left only where something inside malloc calls dlopen, dlsym or
// dladdr (or, before glibc 2.35, touches dynamic TLS). The first calls of a stretch, up to the budget, are safe from
// those too.
#pragma once

#include <cstdint>

namespace unknot {

struct Stretch {
    std::uint64_t diverted;  // bytes asked for by diverted allocations
    std::uint64_t waiting;   // bytes held by deferred frees, each with at least `least_share`
};

// A deferred free costs time later, however small its block: the budget bounds their number as well.
inline constexpr std::uint64_t least_share = 256;

constexpr std::uint64_t share_of(std::uint64_t held) {
    return held + least_share;
}

constexpr bool fits(std::uint64_t used, std::uint64_t more, std::uint64_t budget) {
    return more <= budget && used <= budget - more;
}

// No block and no free of everyday size fits any more: the rest of the stretch need not ask.
constexpr bool is_used_up(const Stretch& stretch, std::uint64_t budget) {
    constexpr std::uint64_t everyday = 4096;
    return !fits(stretch.diverted, everyday, budget) || !fits(stretch.waiting, everyday, budget);
}

static_assert(fits(0, 100, 100) && !fits(1, 100, 100) && !fits(0, UINT64_MAX, 100));
static_assert(!is_used_up({}, 65536) && is_used_up({.diverted = 62000, .waiting = 0}, 65536));

}  // namespace unknot
