// SPDX-License-Identifier: Apache-2.0
// What watching costs this host.
#pragma once

#include <cstdint>

namespace unknot::cli {

struct OwnCost {
    double cpu_s = 0;  // since the start, user and system
    std::uint64_t resident_bytes = 0;
    double round_s = 0;  // how long the last round took
    std::uint64_t rounds = 0;
    double last_round_at_s = 0;  // since the epoch

    void round_is_over(double took_s);
};

}  // namespace unknot::cli
