// SPDX-License-Identifier: Apache-2.0
// An allocator that only its constructor makes usable: before that it looks even a null up in a map that is not there,
// as mimalloc 3.0.1 does (mi_free, through its page map; seen on Debian 13).
#include <stddef.h>

extern void __libc_free(void* pointer);

static const char* volatile map;

__attribute__((constructor)) static void make(void) {
    map = "made";
}

void free(void* pointer) {
    *(const volatile char*)map;
    __libc_free(pointer);
}
