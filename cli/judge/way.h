// SPDX-License-Identifier: Apache-2.0
// What policy/mending.h decides on, read from a process that runs: whether it may be mended at all, and whose code the
// frames of a waiting thread are in.
#pragma once

#include <cstdint>
#include <vector>

#include "cli/judge/cure.h"
#include "cli/judge/threads.h"
#include "policy/mending.h"

namespace unknot::cli {

MendingFacts mending_facts_of(const Process& process, const Objects& objects, const Deadlock& deadlock,
                              const AllocatorFacts& allocator, const Cure& cure, const RiskFacts& facts);

// The write lock; nullptr: it was not found.
const LoaderLock* write_lock_of(const Deadlock& deadlock);
// Who has slept in that lock for as long as the judge looked.
std::vector<const ThreadReport*> waiters_of(const Deadlock& deadlock);

// `address`: inside the frame's code, so one less than a return address.
FrameOf frame_of(const Objects& objects, std::uint64_t allocator_start, std::uint64_t address);

Wait wait_of(const ThreadState& thread);

// The judge's look at a stack that was read while the thread slept. Where return addresses were only found, not
// unwound, the answer is `none`: the registers will tell, and nothing is done before they have.
Refusal way_seen(const Objects& objects, std::uint64_t allocator_start, const Stack& stack);

}  // namespace unknot::cli
