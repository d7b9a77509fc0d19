// SPDX-License-Identifier: Apache-2.0
// Published hangs, rebuilt: each hangs (or fails) without the shim, runs with it, and the statistics show why. Names of
// tests are project_number; links are relative to github.com. What is missing stands in README.md.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/preload/preload.h"

namespace unknot::preload {

// Where the bare hang is luck: how often to try for it. Measured on two cores beside 20 to 300 other threads that were
// ready to run: near_memory_tracker_102 hung in 16 of 21 runs, google_tcmalloc_120 in 20 of 21, heaptrack_88e66a6 in 12
// of 42, every other one in all of at least 14. At the worst of these rates 80 runs without a hang come once in 10^11
// times.
inline constexpr int most_tries = 80;
inline constexpr int shimmed_runs = 3;

// Counters of the report that must not be zero, over all shimmed runs together.
using Counters = std::vector<const char*>;

Allocator preloading(const char* libraries);
process::Command program(const std::string& path);
process::Command reproducer(const char* shape);  // of examples/phdr_deadlock

void expect_bare_hang(const process::Command& command, const Allocator& allocator);
// `mode`: empty for auto.
void expect_runs(const process::Command& command, const Allocator& allocator, const Counters& why,
                 const std::string& mode);
// What becomes of it under libunknot_walks.so.
enum class ByWalks { runs, hangs };
void expect_by_walks(const process::Command& command, const Allocator& allocator, ByWalks fate);
// All three; by walks alone it runs too.
void expect_cured(const process::Command& command, const Allocator& allocator, const Counters& why,
                  const std::string& mode = "");

}  // namespace unknot::preload
