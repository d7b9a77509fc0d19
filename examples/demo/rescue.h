// SPDX-License-Identifier: Apache-2.0
// The last act: the JVM that hangs without the shim is not ended but brought back, before the reader's eyes.
#pragma once

#include <filesystem>

#include "examples/demo/cases.h"

namespace demo {

// True: it hung, `unknot rescue` brought it back, and it did all of its work. Prints what happens. Throws Interrupted.
bool show_rescue(const Case& which, const std::filesystem::path& folder);

}  // namespace demo
