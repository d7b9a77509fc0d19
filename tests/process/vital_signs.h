// SPDX-License-Identifier: Apache-2.0
// What can be seen from outside of whether a process works: the CPU time it has used, and whether any of its threads is
// awake. Its descendants count as part of it. Reads /proc only; needs no help from the process.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace unknot::process {

struct VitalSigns {
    std::uint64_t cpu_ms = 0;  // used so far by the process and its descendants, in steps of a clock tick
    bool awake = false;        // a thread runs, is ready to run, or waits for a disk; false: every thread sleeps
};

VitalSigns read_vital_signs(pid_t pid);

}  // namespace unknot::process
