// SPDX-License-Identifier: Apache-2.0
// Where the shim's lines go. A line that cannot be written where it was to go goes to stderr, with one line that says
// so; a line that cannot be written there is lost. Nothing here allocates, locks, touches errno, or stops the process:
// not by a signal (a pipe without reader, a file at its size limit), not by waiting for a reader of a FIFO.
#pragma once

#include <cstddef>

#include "policy/settings.h"

namespace unknot::log_output {

// From now on.
void use(const LogTarget& target);

// What file descriptor 2 is at the first call is stderr, if it can be: what is closed by exec, or only read, was opened
// here (libunwind's pipe, in a process without stderr). What the program opens later and finds under that number is
// not, unless it is opened for appending, as a log is to which a server redirects its stderr.
void remember_stderr();

// `text` is a whole line.
void write(const char* text, std::size_t size);

}  // namespace unknot::log_output
