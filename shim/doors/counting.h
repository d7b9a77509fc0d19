// SPDX-License-Identifier: Apache-2.0
// What threads count by themselves and give to the statistics now and then: a storm of walks or of diverted blocks
// would fight for the counters' lines.
#pragma once

#include "shim/doors/enter.h"
#include "shim/log/stats.h"

namespace unknot {

inline constexpr std::uint32_t walks_per_publication = 1024;

inline void publish_walks(ThreadState& thread) {
    if (thread.unpublished_walks == 0) return;
    count(unknot_stats.walks, thread.unpublished_walks);
    thread.unpublished_walks = 0;
}

inline void count_walk(ThreadState& thread) {
    if (++thread.unpublished_walks == walks_per_publication) publish_walks(thread);
}

inline void end_stretch(ThreadState& thread) {
    const std::uint64_t bytes = thread.stretch.diverted;
    thread.stretch = {};
    if (bytes != 0) count(unknot_stats.diverted_bytes, bytes);
}

// Between walks nobody waits for exact sums; inside a walk they are published at its end.
inline void publish_blocks(ThreadState& thread) {
    if (thread.walks == 0) arena.publish(thread.cursor);
}

}  // namespace unknot
