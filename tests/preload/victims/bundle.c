// SPDX-License-Identifier: Apache-2.0
// The one source of the 64 libraries that libbundle.so and libbroken_bundle.so need, and of these two themselves: what
// matters is how much the loader has to free, not what is in them.
#include <stdlib.h>

int part_of_bundle(void);
void keep(void* block);

// What the program gave away in quiet times is freed by dlclose, while it owns the loader's lock.
static void* kept;

void keep(void* block) {
    kept = block;
}

__attribute__((destructor)) static void let_go(void) {
    free(kept);
}

int part_of_bundle(void) {
    return 64;
}
