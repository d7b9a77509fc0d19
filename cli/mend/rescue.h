// SPDX-License-Identifier: Apache-2.0
// From a process that is dead of the loader's lock and the allocator's to one that moves: immune first, then the
// waiting threads are sent back, again until nobody waits, then the doctor's question once more.
#pragma once

#include <vector>

#include "cli/judge/examine.h"
#include "cli/mend/abandoned_lock.h"
#include "cli/mend/send_back.h"

namespace unknot::cli {

enum class RescueEnd {
    nothing_to_do,  // it is not deadlocked
    refused,        // `refusal` or a thread's own says why; nothing was changed but, perhaps, the one word of the cure
    moves,
    ended,  // it went on, and to its end
    still_dead,
};

struct Rescue {
    RescueEnd end = RescueEnd::refused;
    Refusal refusal = Refusal::none;
    Examination before;
    bool immunised = false;         // by this call
    std::vector<SentBack> threads;  // in the order in which they were held; those that were left alone too
    std::vector<GivenBack> locks;
    int rounds = 0;
    // Over one second after the last round: how many threads ran, of how many, and for how long.
    std::size_t ran = 0, of = 0;
    double cpu_ms = 0;
};

// Throws Trouble. `dry`: reads only; `threads` are those that would be sent back.
Rescue rescue_process(pid_t pid, bool dry);

}  // namespace unknot::cli
