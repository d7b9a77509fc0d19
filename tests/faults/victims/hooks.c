// SPDX-License-Identifier: Apache-2.0
// A program from before glibc 2.34, which sets the malloc hooks. Says how often they ran for ten blocks.
#include <stdio.h>
#include <stdlib.h>

#if defined(__x86_64__)
#define VERSION "GLIBC_2.2.5"
#else
#define VERSION "GLIBC_2.17"
#endif
extern void* (*malloc_hook)(size_t, const void*);
extern void (*free_hook)(void*, const void*);
__asm__(".symver malloc_hook, __malloc_hook@" VERSION);
__asm__(".symver free_hook, __free_hook@" VERSION);

static int mallocs, frees;

static void* on_malloc(size_t size, const void* caller) {
    (void)caller;
    ++mallocs;
    malloc_hook = NULL;
    void* block = malloc(size);
    malloc_hook = on_malloc;
    return block;
}
static void on_free(void* block, const void* caller) {
    (void)caller;
    ++frees;
    free_hook = NULL;
    free(block);
    free_hook = on_free;
}

int main(void) {
    malloc_hook = on_malloc;
    free_hook = on_free;
    for (int i = 0; i < 10; ++i) {
        void* volatile block = malloc(100);
        free(block);
    }
    malloc_hook = NULL;
    free_hook = NULL;
    printf("%d mallocs, %d frees\n", mallocs, frees);
    return 0;
}
