// SPDX-License-Identifier: Apache-2.0
#include "shim/log/stats.h"

#include "shim/system/platform.h"

namespace unknot {

// In .bss, so that it costs nothing in the file; start fills in the head. Aligned so that a reader gets it in one page.
UNKNOT_EXPORT alignas(4096) constinit StatsPage unknot_stats{};

}  // namespace unknot
