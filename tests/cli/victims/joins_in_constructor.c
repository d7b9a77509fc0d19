// SPDX-License-Identifier: Apache-2.0
// A constructor, which dlopen runs with the load lock, waits for the end of a thread that asks the loader.
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

static void* ask_loader(void* symbol) {
    return dlsym(RTLD_DEFAULT, symbol);
}

__attribute__((constructor)) static void start(void) {
    pthread_t worker;
    if (pthread_create(&worker, NULL, ask_loader, (void*)"no_such_symbol") == 0) pthread_join(worker, NULL);
}
