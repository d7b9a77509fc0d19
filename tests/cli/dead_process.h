// SPDX-License-Identifier: Apache-2.0
// Processes that hang, for those tests that bring them back.
#pragma once

#include <optional>

#include "cli/judge/examine.h"
#include "tests/cli/unknot_command.h"
#include "tests/process/system.h"

namespace unknot::test {

// The doctor's look at a process once it is dead; nullopt: it ended instead.
std::optional<cli::Examination> when_stuck(Victim& victim, pid_t pid);

// The first child that it has started; 0: it ended without one.
pid_t child_of(Victim& victim);

inline const Variables bare_tcmalloc = {{"LD_PRELOAD", "libtcmalloc.so.4"}, {"TCMALLOC_STACKTRACE_METHOD", ""}};

}  // namespace unknot::test
