// SPDX-License-Identifier: Apache-2.0
// The report of a deadlocked process, as a text file fit for a bug tracker.
#pragma once

#include <string>

#include "cli/judge/examine.h"

namespace unknot::cli {

// Returns the file's path: `path`, where %p becomes the process id. An existing file is not overwritten. Throws Trouble
// when it cannot be written.
std::string write_report(const Examination& found, const std::string& path);

}  // namespace unknot::cli
