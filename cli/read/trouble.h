// SPDX-License-Identifier: Apache-2.0
// Why a command cannot go on: one line for stderr. The exit codes of all commands stand here, and in unknot(1).
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

enum ExitCode {
    exit_fine = 0,
    exit_at_risk = 1,
    exit_trouble = 2,  // wrong usage, no permission, unknown
    exit_deadlocked = 3,
    // Of `run`, as of env(1) and timeout(1): whatever else it ends with is the command's.
    exit_run_trouble = 125,
    exit_not_executable = 126,
    exit_not_found = 127,
};

// The command that is to be started is not there, or is none.
class CannotStart : public Trouble {
  public:
    CannotStart(const std::string& why, ExitCode code) : Trouble(why), code_(code) {}
    ExitCode code() const { return code_; }

  private:
    ExitCode code_;
};

}  // namespace unknot::cli
