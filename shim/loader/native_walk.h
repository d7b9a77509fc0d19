// SPDX-License-Identifier: Apache-2.0
// libc's own dl_iterate_phdr, for the walks that the shim makes for itself. The next one in the order of loading may be
// somebody's wrapper, which need not be re-entrant (fakechroot's keeps the program's callback in a static variable),
// may allocate, and may take locks: it is only asked to pass on what the program asks.
#pragma once

#include <link.h>

#include <cstddef>

namespace [[gnu::visibility("hidden")]] unknot {

int native_walk(int (*callback)(dl_phdr_info*, std::size_t, void*), void* data);

// Does somebody's wrapper stand between the shim and libc?
bool is_walk_wrapped();

}  // namespace unknot
