// SPDX-License-Identifier: Apache-2.0
// The usual fork handlers of a library, registered by its constructor: before that of the program, and where nothing
// has allocated by then, before those of a preload that starts with the first allocation.
#include "tests/differential/linked/early_handlers.h"

static void (*works)() = nullptr;
static pthread_mutex_t early_lock = PTHREAD_MUTEX_INITIALIZER;

static void prepare() {
    if (works != nullptr) return works();
    pthread_mutex_lock(&early_lock);
}
static void after() {
    if (works != nullptr) return works();
    pthread_mutex_unlock(&early_lock);
}

[[gnu::constructor]] static void register_them() {
    pthread_atfork(prepare, after, after);
}

pthread_mutex_t* lock_of_early_handlers() {
    return &early_lock;
}

void early_handlers_do(void (*work)()) {
    works = work;
}
