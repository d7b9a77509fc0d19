// SPDX-License-Identifier: Apache-2.0
// Frees that cannot run yet because this thread owns a loader lock, and their replay.
#pragma once

#include "shim/doors/deferred_frees.h"
#include "shim/loader/thread_state.h"

namespace [[gnu::visibility("hidden")]] unknot {

// `held`: bytes that the block holds. False: there was no room for the record.
bool defer(ThreadState& thread, const Deallocation& call, std::size_t held);

// Runs every deferred free. This thread owns no loader lock and does not stand inside the allocator.
void drain(ThreadState& thread);

}  // namespace unknot
