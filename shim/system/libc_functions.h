// SPDX-License-Identifier: Apache-2.0
// Functions of libc that the shim calls in the middle of somebody's malloc or walk. Called past every interposer: a
// lock profiler's pthread_mutex_lock allocates, a sanitizer's jumps through a pointer that it has not filled yet.
#pragma once

#include <pthread.h>
#include <time.h>

namespace [[gnu::visibility("hidden")]] unknot {

// Where libc (before glibc 2.34 libpthread or libdl) has it; nullptr: it has no such function, or libc is not known.
const void* libc_function(const char* name);

// The same, or else what the program's own calls reach. At start a wrapper may be there whose constructor has not run.
template <class Function>
Function* past_wrappers(const char* name, Function* interposed) {
    const void* found = libc_function(name);
    return found != nullptr ? reinterpret_cast<Function*>(const_cast<void*>(found)) : interposed;
}

// Finds the following, once; needs no lock and calls nobody. Until then, and where libc is not known, a call takes the
// way that the program's own calls take.
void find_libc_functions();
// From now on they cannot be changed, if the kernel grants it.
void seal_libc_functions();

int lock_mutex(pthread_mutex_t& mutex);
int try_to_lock_mutex(pthread_mutex_t& mutex);
int unlock_mutex(pthread_mutex_t& mutex);
// Of CLOCK_REALTIME. Through the vDSO: no system call that a sandbox may have forgotten to allow.
timespec wall_clock();

}  // namespace unknot
