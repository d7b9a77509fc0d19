// SPDX-License-Identifier: Apache-2.0
// One run of a case: the program without the shim and with it, at the same time, with a live line about both.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "examples/demo/cases.h"
#include "tests/process/child.h"

namespace demo {

struct PairResult {
    unknot::process::Result without;
    unknot::process::Result with;
    // From the shim's report at exit; 0 without one.
    std::uint64_t diverted = 0;
    std::string trouble = {};  // why the run says nothing, such as an allocator that is not installed
};

struct Interrupted {};

// Throws Interrupted when `stop_requested` turns true; both programs have been ended by then.
PairResult run_pair(const Case& which, const std::filesystem::path& folder, const std::string& title);

// Set by the signal that ends the demo.
extern volatile int stop_requested;

}  // namespace demo
