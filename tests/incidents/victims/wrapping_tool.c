// SPDX-License-Identifier: Apache-2.0
// A tool that wraps dlopen to see what gets loaded, as profilers do.
#include <dlfcn.h>

void* dlopen(const char* name, int flags) {
    void* (*next)(const char*, int);
    *(void**)&next = dlsym(RTLD_NEXT, "dlopen");
    void* library = next(name, flags);
    __asm__ volatile("" : "+r"(library));  // it looks at the library here; so its own call is the one that glibc sees
    return library;
}
