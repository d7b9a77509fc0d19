// SPDX-License-Identifier: Apache-2.0
// What the preloads here do on every call of what they wrap, once per thread at a time.
#pragma once

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>

static __thread int inside __attribute__((tls_model("initial-exec")));

__attribute__((unused)) static void allocate_guarded(void) {
    if (inside) return;
    inside = 1;
    void* volatile note = malloc(64);
    free(note);
    inside = 0;
}

__attribute__((unused)) static int see(struct dl_phdr_info* info, size_t size, void* data) {
    (void)info, (void)size, (void)data;
    return 0;
}

__attribute__((unused)) static void walk_guarded(void) {
    if (inside) return;
    inside = 1;
    dl_iterate_phdr(see, NULL);
    inside = 0;
}

// `real` of the function that encloses it, found on its first call. Two threads may both look: they find the same.
#define NEXT(real, name)                           \
    if (!(real)) {                                 \
        const int was_inside = inside;             \
        inside = 1;                                \
        *(void**)&(real) = dlsym(RTLD_NEXT, name); \
        inside = was_inside;                       \
    }
