// SPDX-License-Identifier: Apache-2.0
// A C program that loads a C++ library privately: the shim's operator new is bound, and no C++ runtime can be seen from
// the program. What the library asks too much of has to end in its own std::bad_alloc.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>

static int (*asks_too_much)(void);

static void* in_a_new_thread(void* result) {
    *(int*)result = asks_too_much();
    return NULL;
}

static int in_a_walk(struct dl_phdr_info* info, size_t size, void* result) {
    (void)info, (void)size;
    *(int*)result = asks_too_much();
    return 1;
}

int main(int argc, char** argv) {
    void* library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (library == NULL) return fprintf(stderr, "%s\n", argc == 2 ? dlerror() : "usage: private_cxx <library>"), 2;
    *(void**)&asks_too_much = dlsym(library, "asks_too_much");
    int here = -1, there = -1, walk = -1;
    pthread_t thread;
    pthread_create(&thread, NULL, in_a_new_thread, &there);
    pthread_join(thread, NULL);
    here = asks_too_much();
    dl_iterate_phdr(in_a_walk, &walk);
    printf("%d %d %d\n", there, here, walk);
    dlclose(library);
    return here == 0 && there == 0 && walk == 0 ? 0 : 1;
}
