// SPDX-License-Identifier: Apache-2.0
// Allocates before any constructor has run, the shim's among them: in a function of .preinit_array. Resizes and frees
// in main. (Earlier still are resolvers of the program's own IFUNCs, when thread-local storage has no contents yet:
// glibc warns against calling anything there, and jemalloc and mimalloc crash without any shim.)
#include <stdlib.h>
#include <string.h>

static char* early;

static void before_constructors(void) {
    early = calloc(1, 1000);
    if (early != NULL) memset(early, 2, 1000);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = before_constructors;

int main(void) {
    if (early == NULL || early[999] != 2) return 1;
    early = realloc(early, 100000);
    if (early == NULL || early[999] != 2) return 2;
    free(early);
    return 0;
}
