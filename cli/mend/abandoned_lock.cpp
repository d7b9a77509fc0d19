// SPDX-License-Identifier: Apache-2.0
// All threads stand while the words are written: nobody takes the lock between its judgement and the write. Being let
// go again, a thread that slept in the lock looks at it once more and finds it free.
#include "cli/mend/abandoned_lock.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <set>
#include <vector>

#include "cli/mend/foreign_memory.h"
#include "cli/mend/held_thread.h"

namespace unknot::cli {
namespace {

constexpr std::size_t state_bytes = offsetof(MutexWords, kind);  // lock, count, owner, users

using Held = std::vector<std::unique_ptr<HeldThread>>;

// Again until no thread is new: one that runs can start others until it is held itself.
Held hold_all(const Process& process) {
    Held held;
    std::set<pid_t> known;
    for (bool more = true; more;) {
        more = false;
        for (const ThreadState& thread : process.threads()) {
            if (!known.insert(thread.tid).second) continue;
            held.push_back(std::make_unique<HeldThread>(process, thread.tid));
            more = true;
        }
    }
    return held;
}

bool is_abandoned(const Process& process, const MutexWords& words) {
    const auto threads = process.threads();
    return words.owner > 0 && words.lock >= 1 && words.lock <= 2 &&
           std::none_of(threads.begin(), threads.end(),
                        [&](const ThreadState& thread) { return thread.inner_tid == words.owner; });
}

}  // namespace

GivenBack give_back(const Process& process, const LoaderLock& judged) {
    GivenBack given;
    ForeignMemory memory(process);
    Held held = hold_all(process);
    given.threads = held.size();
    if (!is_abandoned(process, judged.words)) {
        given.refusal = Refusal::changed;
        return given;
    }
    const char free[state_bytes] = {};
    memory.replace(judged.address, &judged.words, free, sizeof free);
    for (const auto& thread : held) given.held_us = std::max(given.held_us, thread->release());
    return given;
}

}  // namespace unknot::cli
