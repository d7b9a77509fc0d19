// SPDX-License-Identifier: Apache-2.0
// Wraps the walk without a thought of re-entry: the caller's callback lies in a static variable while it is walked, so
// that a walk inside a walk takes its place.
#include "tests/differential/preloads/guarded.h"

static int (*callers_callback)(struct dl_phdr_info*, size_t, void*);

static int hand_on(struct dl_phdr_info* info, size_t size, void* data) {
    return callers_callback(info, size, data);
}

int dl_iterate_phdr(int (*callback)(struct dl_phdr_info*, size_t, void*), void* data) {
    static int (*real)(int (*)(struct dl_phdr_info*, size_t, void*), void*);
    NEXT(real, "dl_iterate_phdr")
    callers_callback = callback;
    return real(hand_on, data);
}
