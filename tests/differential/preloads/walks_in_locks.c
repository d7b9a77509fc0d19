// SPDX-License-Identifier: Apache-2.0
// A lock profiler that looks where it was called from.
#include <pthread.h>

#include "tests/differential/preloads/guarded.h"

int pthread_mutex_lock(pthread_mutex_t* mutex) {
    static int (*real)(pthread_mutex_t*);
    NEXT(real, "pthread_mutex_lock")
    walk_guarded();
    return real(mutex);
}
