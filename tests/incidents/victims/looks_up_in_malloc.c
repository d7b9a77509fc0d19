// SPDX-License-Identifier: Apache-2.0
// A leak tracer that stands before malloc and looks up the functions behind it once, at the first call. The look-up of
// one that is not there (operator new, in a program without a C++ runtime) allocates for the text of the error.
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void* (*next_malloc)(size_t);
static void (*next_free)(void*);
static void* (*next_new)(size_t);

static void look_up(void) {
    *(void**)&next_new = dlsym(RTLD_NEXT, "_Znwm");
    *(void**)&next_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void**)&next_free = dlsym(RTLD_NEXT, "free");
}

void* malloc(size_t size) {
    pthread_once(&once, look_up);
    return next_malloc(size);
}

void free(void* block) {
    pthread_once(&once, look_up);
    next_free(block);
}
