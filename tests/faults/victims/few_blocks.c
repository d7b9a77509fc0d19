// SPDX-License-Identifier: Apache-2.0
// The four functions that every allocator has, outside and inside of a walk, and nothing else: for allocators that have
// nothing else.
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong;

static void use(void) {
    char* volatile block = malloc(100);
    memset(block, 'a', 100);
    block = realloc(block, 3000);
    wrong += block[0] != 'a' || block[99] != 'a';
    char* volatile zeroes = calloc(10, 100);
    for (int i = 0; i < 1000; ++i) wrong += zeroes[i] != 0;
    free(block);
    free(zeroes);
}

static int in_walk(struct dl_phdr_info* info, size_t size, void* data) {
    (void)info, (void)size;
    free(*(void**)data);
    *(void**)data = malloc(40);
    use();
    return 1;
}

int main(void) {
    void* block = malloc(20);
    use();
    dl_iterate_phdr(in_walk, &block);
    free(block);
    use();
    printf("%d blocks wrong\n", wrong);
    return wrong;
}
