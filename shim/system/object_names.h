// SPDX-License-Identifier: Apache-2.0
// Which loaded object an address belongs to, without a loader lock: _dl_find_object (glibc 2.35 and later) is lock-free
// and async-signal-safe by its documentation. Without it the record keeps the bare address.
#pragma once

#include "policy/stats_page.h"

namespace unknot {

// Looks up _dl_find_object: for start-up only.
void find_object_finder();

// Fills in `object` and `offset`: empty and 0 where nobody can tell.
void name_object(const void* address, WitnessRecord& record);

}  // namespace unknot
