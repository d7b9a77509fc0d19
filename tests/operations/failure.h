// SPDX-License-Identifier: Apache-2.0
// How the fuzzer gives up: one line that says what was wrong and where in the run.
#pragma once

#include <cstdint>

namespace operations {

// What this thread is doing.
struct Place {
    std::uint64_t seed = 0;       // of the thread
    std::uint64_t operation = 0;  // of the thread's, from 0
};
extern thread_local Place place;

[[noreturn, gnu::format(printf, 1, 2)]] void fail(const char* format, ...);

}  // namespace operations
