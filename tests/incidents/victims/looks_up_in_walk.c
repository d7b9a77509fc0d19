// SPDX-License-Identifier: Apache-2.0
// A tool that stands before dl_iterate_phdr and looks up what it needs at the first call. What it does not find, an
// optional function, makes dlsym allocate for the text of the error.
#include <dlfcn.h>
#include <link.h>
#include <stddef.h>

typedef int (*Callback)(struct dl_phdr_info*, size_t, void*);

int dl_iterate_phdr(Callback callback, void* data) {
    static int (*next)(Callback, void*);
    static void (*notice)(void);
    if (next == NULL) {
        *(void**)&next = dlsym(RTLD_NEXT, "dl_iterate_phdr");
        *(void**)&notice = dlsym(RTLD_DEFAULT, "notice_walk");
    }
    if (notice != NULL) notice();
    return next(callback, data);
}
