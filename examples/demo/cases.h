// SPDX-License-Identifier: Apache-2.0
// What the demo runs: one row per program, allocator and stack method.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/process/child.h"

namespace demo {

struct Case {
    std::string program;       // as the table calls it
    std::string allocator;     // soname of the preloaded allocator
    std::string stack_method;  // TCMALLOC_STACKTRACE_METHOD; empty: the allocator's default
    std::string method_shown;
    // Hangs without the shim in every run, on every machine: what the demo is about. The others show what has been
    // recommended instead.
    bool main = false;
    unknot::process::Command command = {};
    std::string shim = "libunknot.so";
};

// `folder`: where the programs and the shim have been built.
std::vector<Case> all_cases(const std::filesystem::path& folder);

}  // namespace demo
