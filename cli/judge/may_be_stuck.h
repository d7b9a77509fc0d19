// SPDX-License-Identifier: Apache-2.0
// The question before the expensive one: is there a wait at all that may never end? Most processes have none.
#pragma once

#include "cli/judge/loader_locks.h"
#include "cli/judge/samples.h"

namespace unknot::cli {

// A thread waits for a loader lock, for a lock whose chain of owners comes round or leads to nobody, or is the only
// one. `threads` needs no more than Process::waits() tells; of `locks` the addresses count.
bool may_be_stuck(const Process& process, const Snapshot& threads, const LoaderLocks& locks);

}  // namespace unknot::cli
