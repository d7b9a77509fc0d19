// SPDX-License-Identifier: Apache-2.0
// A tool that wraps dlopen and loads its own other half when the first library comes in: through its own wrapper.
#include <dlfcn.h>
#include <stddef.h>

static void* other_half;

void* dlopen(const char* name, int flags) {
    void* (*next)(const char*, int);
    *(void**)&next = dlsym(RTLD_NEXT, "dlopen");
    if (other_half == NULL) other_half = dlopen("libm.so.6", RTLD_NOW);
    void* library = next(name, flags);
    __asm__ volatile("" : "+r"(library));
    return library;
}
