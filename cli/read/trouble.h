// SPDX-License-Identifier: Apache-2.0
// Why a command cannot go on: one line for stderr. The exit code is always 2.
#pragma once

#include <stdexcept>
#include <string>

namespace unknot::cli {

class Trouble : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// The kernel said no; the text names the permission that is missing.
class NotPermitted : public Trouble {
  public:
    using Trouble::Trouble;
};

// The process ended, or its id now belongs to another one.
class ProcessGone : public Trouble {
  public:
    using Trouble::Trouble;
};

enum ExitCode { exit_fine = 0, exit_at_risk = 1, exit_trouble = 2, exit_deadlocked = 3 };

}  // namespace unknot::cli
