// SPDX-License-Identifier: Apache-2.0
// The text of /proc/PID/maps.
#pragma once

#include <string>
#include <vector>

#include "cli/read/inspect_proc.h"

namespace unknot::cli {

// Lines that are none are left out.
std::vector<Mapping> mappings_in(const std::string& text);

}  // namespace unknot::cli
