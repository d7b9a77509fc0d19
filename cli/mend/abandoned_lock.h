// SPDX-License-Identifier: Apache-2.0
// The write lock of a child whose owner stayed in the parent: glibc renews the other loader locks in fork, not this one
// (sysdeps/nptl/fork.c in 2.31, posix/fork.c later). It is given back for the owner that does not exist.
#pragma once

#include "cli/judge/loader_locks.h"
#include "policy/mending.h"

namespace unknot::cli {

struct GivenBack {
    Refusal refusal = Refusal::none;
    std::size_t threads = 0;  // that stood meanwhile
    double held_us = 0;       // the longest
};

// `judged`: the lock, and its words as they were judged. Throws Trouble.
GivenBack give_back(const Process& process, const LoaderLock& judged);

}  // namespace unknot::cli
