// SPDX-License-Identifier: Apache-2.0
// The usual fork handlers of a library, registered by its constructor: nothing has allocated by then, so they come
// before those of a preload that starts with the first allocation. In C, and one library further from the program
// (stands_between.c), for the C++ runtime allocates in its own constructor.
#include <pthread.h>
#include <stddef.h>

static void (*works)(void);
static pthread_mutex_t early_lock = PTHREAD_MUTEX_INITIALIZER;

static void prepare(void) {
    if (works != NULL) return works();
    pthread_mutex_lock(&early_lock);
}
static void after(void) {
    if (works != NULL) return works();
    pthread_mutex_unlock(&early_lock);
}

__attribute__((constructor)) static void register_them(void) {
    pthread_atfork(prepare, after, after);
}

pthread_mutex_t* lock_of_early_handlers(void) {
    return &early_lock;
}

void early_handlers_do(void (*work)(void)) {
    works = work;
}
