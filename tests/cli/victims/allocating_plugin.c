// SPDX-License-Identifier: Apache-2.0
// A plug-in whose constructor, which dlopen runs with the load lock, allocates 1000 blocks in one place.
#include <stdlib.h>

__attribute__((noinline)) static void build_tables(void) {
    for (int i = 0; i < 1000; ++i) free(malloc(64));
}

__attribute__((constructor)) static void start(void) {
    build_tables();
}
