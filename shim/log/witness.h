// SPDX-License-Identifier: Apache-2.0
// Observe mode's memory: which code was seen on which edge. A fixed table of return addresses in the statistics page;
// lock-free, allocates nothing, asks the loader nothing (its questions take the load lock).
#pragma once

#include "shim/log/stats.h"

namespace unknot {

// One more sighting of `caller`. A table that is full counts no new callers: its records still tell the edge.
void witness(WitnessRecord (&records)[witness_records], const void* caller);

}  // namespace unknot
