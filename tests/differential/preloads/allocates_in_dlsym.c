// SPDX-License-Identifier: Apache-2.0
// A tracer of look-ups. The real one is jumped to, so that its RTLD_NEXT still means the caller's.
#include "tests/differential/preloads/guarded.h"

void* dlsym(void* handle, const char* name) {
    static void* (*real)(void*, const char*);
    if (!real) {
        *(void**)&real = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34");
        if (!real) *(void**)&real = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
        if (!real) *(void**)&real = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.17");
    }
    allocate_guarded();
    return real(handle, name);
}
