// SPDX-License-Identifier: Apache-2.0
// A tracer of what threads and forks are made of.
#include <pthread.h>
#include <stdint.h>

#include "tests/differential/preloads/guarded.h"

int pthread_key_create(pthread_key_t* key, void (*destructor)(void*)) {
    static int (*real)(pthread_key_t*, void (*)(void*));
    NEXT(real, "pthread_key_create")
    allocate_guarded();
    return real(key, destructor);
}

int pthread_setspecific(pthread_key_t key, const void* value) {
    static int (*real)(pthread_key_t, const void*);
    NEXT(real, "pthread_setspecific")
    allocate_guarded();
    return real(key, value);
}

// What pthread_atfork, which is linked into each object, calls.
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void* object) {
    static int (*real)(void (*)(void), void (*)(void), void (*)(void), void*);
    NEXT(real, "__register_atfork")
    allocate_guarded();
    return real(prepare, parent, child, object);
}
