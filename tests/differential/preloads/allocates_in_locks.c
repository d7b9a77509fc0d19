// SPDX-License-Identifier: Apache-2.0
// A lock profiler: notes each mutex in a table that is allocated.
#include <pthread.h>

#include "tests/differential/preloads/guarded.h"

int pthread_mutex_lock(pthread_mutex_t* mutex) {
    static int (*real)(pthread_mutex_t*);
    NEXT(real, "pthread_mutex_lock")
    allocate_guarded();
    return real(mutex);
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) {
    static int (*real)(pthread_mutex_t*);
    NEXT(real, "pthread_mutex_unlock")
    allocate_guarded();
    return real(mutex);
}
