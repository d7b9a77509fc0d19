// SPDX-License-Identifier: Apache-2.0
#include "cli/judge/may_be_stuck.h"

#include <set>

#include "cli/judge/waits.h"

namespace unknot::cli {

bool may_be_stuck(const Process& process, const Snapshot& threads, const LoaderLocks& locks) {
    for (const auto& entry : threads) {
        std::set<pid_t> seen;
        for (const ThreadState* thread = &entry.second; seen.insert(thread->tid).second;) {
            const std::uint64_t address = waited_for(*thread);
            if (address == 0) break;
            if (locks.at(address) != nullptr) return true;
            if (threads.size() == 1 && waits_for_ever(*thread)) return true;
            const auto words = process.read<MutexWords>(address);
            // A lock without an owner word, libc's own, is rarely met with a waiter.
            if (!words || !is_held_mutex(*words)) {
                if (waits_for_mutex(*thread)) return true;
                break;
            }
            const pid_t owner = thread_with_inner(threads, words->owner);
            if (owner == 0 && waits_for_mutex(*thread)) return true;
            if (seen.contains(owner)) return true;
            const auto next = threads.find(owner);
            if (next == threads.end()) break;
            thread = &next->second;
        }
    }
    return false;
}

}  // namespace unknot::cli
