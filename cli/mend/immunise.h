// SPDX-License-Identifier: Apache-2.0
// One word: the allocator of a running process takes its stack traces without the loader from now on, or again as
// before. Nothing is stopped.
#pragma once

#include "cli/judge/cure.h"

namespace unknot::cli {

// Throws Trouble when the word is not as it was judged, or cannot be written.
void apply(const Process& process, const Cure& cure);
void undo(const Process& process, const Cure& cure);

}  // namespace unknot::cli
