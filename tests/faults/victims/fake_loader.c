// SPDX-License-Identifier: Apache-2.0
// A loader whose struct of globals is not what the calibration knows: part of the program, so it is found before
// ld.so's own; under a version of its own, so that libc goes on with the true one. FAKE_LOADER says what is wrong.
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct globals {
    pthread_mutex_t locks[8];
};
struct globals fake_globals;
__asm__(".symver fake_globals, _rtld_global@@FAKE");

static const char* wrong = "";
static int is_owned_for_ever;

static void make_recursive(pthread_mutex_t* mutex) {
    *mutex = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
}

__attribute__((constructor)) static void build(void) {
    if (getenv("FAKE_LOADER") != NULL) wrong = getenv("FAKE_LOADER");
    // The write lock is locks[1] and its neighbour locks[0], unless they are missing or stand elsewhere.
    make_recursive(&fake_globals.locks[1]);
    if (strcmp(wrong, "neighbour is no lock") != 0) make_recursive(&fake_globals.locks[0]);
    if (strcmp(wrong, "two owned") == 0) make_recursive(&fake_globals.locks[3]);
}

// What the walk owns.
static pthread_mutex_t* owned(int which) {
    if (strcmp(wrong, "nothing owned") == 0) return NULL;
    if (strcmp(wrong, "no room") == 0) return which == 0 ? &fake_globals.locks[0] : NULL;
    if (which == 0) return &fake_globals.locks[1];
    return strcmp(wrong, "two owned") == 0 ? &fake_globals.locks[3] : NULL;
}

// Also when the callback throws.
static void release_all(pthread_mutex_t* (*all)[2]) {
    pthread_mutex_t** locks = *all;
    for (int i = 0; i < 2; ++i) {
        if (locks[i] != NULL) pthread_mutex_unlock(locks[i]);
    }
}

int walk_fake_loader(int (*callback)(struct dl_phdr_info*, size_t, void*), void* data) {
    __attribute__((cleanup(release_all))) pthread_mutex_t* locks[2] = {owned(0), owned(1)};
    if (strcmp(wrong, "stays owned") == 0) {
        // By the first walk, for ever.
        if (!is_owned_for_ever) pthread_mutex_lock(locks[0]);
        is_owned_for_ever = 1;
        locks[0] = NULL;
    }
    for (int i = 0; i < 2; ++i) {
        if (locks[i] != NULL) pthread_mutex_lock(locks[i]);
    }
    return dl_iterate_phdr(callback, data);
}
