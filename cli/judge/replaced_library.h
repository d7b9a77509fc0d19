// SPDX-License-Identifier: Apache-2.0
// After an upgrade a process keeps the library that it was started with.
#pragma once

#include <string>

#include "cli/read/objects.h"

namespace unknot::cli {

// A sentence, if the process has a libunknot.so that is no longer the one at its path; empty: it has none, or that one.
std::string note_on_replaced_library(const Process& process, const Objects& objects);

}  // namespace unknot::cli
