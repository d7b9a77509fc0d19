// SPDX-License-Identifier: Apache-2.0
// What allocators do where the standards leave it open: a diverted call answers as the real allocator would. Who is
// known not to mind is asked by trying; of everybody else, what can be seen without a call.
#pragma once

#include <cstddef>

#include "policy/allocator.h"

namespace [[gnu::visibility("hidden")]] unknot {

// Watching modes only, after the table is filled: calls the real allocator.
void ask_open_questions(const AllocatorEvidence& allocator);

// realloc(p, 0): true, it frees and returns NULL; false, it returns a block.
bool realloc_zero_frees();

// May it be asked for the size of any block at any time? Of an allocator that nobody knows, no; nor of the debug build
// of tcmalloc, which ends over an aligned block (gperftools 2.10, DebugMallocImplementation::GetAllocatedSize).
bool answers_block_sizes();

// The alignment that aligned_alloc gives a block for which `alignment` was asked; no_alignment: it refuses.
std::size_t accepted_by_aligned_alloc(std::size_t alignment, std::size_t size);

}  // namespace unknot
