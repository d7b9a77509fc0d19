// SPDX-License-Identifier: Apache-2.0
// Probes for a function of jemalloc's and calls what it finds, whichever allocator is there.
#include <dlfcn.h>
#include <stdio.h>

int main(void) {
    void* (*mallocx)(size_t, int) = NULL;
    *(void**)&mallocx = dlsym(RTLD_DEFAULT, "mallocx");
    if (mallocx == NULL) return 3;
    return mallocx(100, 0) == NULL ? 1 : 0;
}
