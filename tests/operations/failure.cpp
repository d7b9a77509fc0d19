// SPDX-License-Identifier: Apache-2.0
#include "tests/operations/failure.h"

#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace operations {

thread_local Place place;

void fail(const char* format, ...) {
    char what[300];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    dprintf(STDERR_FILENO, "%s, in operation %lu of the thread with seed %lu\n", what, place.operation, place.seed);
    std::_Exit(1);
}

}  // namespace operations
