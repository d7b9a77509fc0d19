// SPDX-License-Identifier: Apache-2.0
// A tracer of walks, which notes each one.
#include "tests/differential/preloads/guarded.h"

int dl_iterate_phdr(int (*callback)(struct dl_phdr_info*, size_t, void*), void* data) {
    static int (*real)(int (*)(struct dl_phdr_info*, size_t, void*), void*);
    NEXT(real, "dl_iterate_phdr")
    allocate_guarded();
    return real(callback, data);
}
