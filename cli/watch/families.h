// SPDX-License-Identifier: Apache-2.0
// What is known of the host as families of metrics, in the types of prometheus-cpp.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "cli/watch/host.h"
#include "cli/watch/own_cost.h"
#include "cli/watch/totals.h"

namespace unknot::cli {

std::vector<prometheus::MetricFamily> families_of(const Host& host, const Totals& totals, const OwnCost& cost,
                                                  bool rescues);

}  // namespace unknot::cli
