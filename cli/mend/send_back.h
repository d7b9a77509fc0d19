// SPDX-License-Identifier: Apache-2.0
// A thread that waits for the write lock inside the allocator's own stack trace goes on as if the walk had returned. It
// owns nothing of the walk yet: glibc takes that lock before all else (elf/dl-iteratephdr.c, 2.31 to 2.41).
#pragma once

#include <string>

#include "cli/judge/way.h"

namespace unknot::cli {

struct SentBack {
    pid_t tid = 0;
    std::string name;
    Refusal refusal = Refusal::none;
    std::string out_of;     // the function that was left
    std::string to;         // where it went on
    int times = 0;          // a trace asks the loader about every frame that it does not know
    double longest_us = 0;  // for which it stood at a time
    double all_us = 0;
};

// `judged`: as the thread slept when it was judged. While the same stack trace waits in the same lock again, what was
// judged holds again: it is sent back until that trace has ended. Throws Trouble when the thread has gone or may not be
// held; then nothing was done to it.
SentBack send_back(const Process& process, const Objects& objects, std::uint64_t allocator_start,
                   const ThreadState& judged);

}  // namespace unknot::cli
