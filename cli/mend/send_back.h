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
    std::string out_of;  // the function that was left
    std::string to;      // where it goes on
    double held_us = 0;  // for how long it stood
};

// `judged`: as the thread slept when it was judged. Throws Trouble when it has gone or may not be held.
SentBack send_back(const Process& process, const Objects& objects, std::uint64_t allocator_start,
                   const ThreadState& judged);

}  // namespace unknot::cli
