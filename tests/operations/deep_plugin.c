// SPDX-License-Identifier: Apache-2.0
// Loaded with RTLD_DEEPBIND, its own calls of the allocator are libc's, while libc makes blocks for it through the
// program's.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char* kept;

__attribute__((constructor)) static void start(void) {
    char* copy = strdup("made while it is loaded");
    kept = strdup(copy);
    free(copy);
}
__attribute__((destructor)) static void end(void) {
    free(realloc(kept, 500));
}

char* operations_deep_make(size_t size) {
    char* block = malloc(size);
    if (block == NULL) return NULL;
    memset(block, 'x', size);
    block[size - 1] = 0;
    char* copy = strdup(block);
    free(block);
    return copy;
}

void operations_deep_take(char* block) {
    free(block);
}
