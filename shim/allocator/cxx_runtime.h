// SPDX-License-Identifier: Apache-2.0
// How operator new fails, without a C++ runtime of our own: through the one that the program uses. Allocates nothing.
#pragma once

#include <cstddef>

namespace [[gnu::visibility("hidden")]] unknot {

// Looks the runtime up in the libraries that are loaded from the start, so that nobody has to while an allocation
// fails inside a walk: a look-up there would take the loader's locks in the wrong order.
void find_cxx_runtime();

// Runs the new_handler once; without a handler throws std::bad_alloc. `caller` tells which runtime, where the program
// got one only later: the one that the calling object sees. The size is for the line that says that there is none.
void run_new_handler_or_throw(std::size_t size, const void* caller);

[[noreturn]] void throw_bad_alloc(std::size_t size, const void* caller);

// What a nothrow form does once there was no memory: the new_handler has its say, and what it throws is caught. That
// takes frames that can catch: libstdc++'s own nothrow form, which calls operator new, ours. NULL where no handler is
// set or that form is not known.
void* retry_nothrow(std::size_t size, std::size_t alignment, const void* caller);

}  // namespace unknot
