// SPDX-License-Identifier: Apache-2.0
// The malloc hooks of old: programs linked before glibc 2.34 set them, libc_malloc_debug calls them.
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __x86_64__
#define OLDEST "2.5"
#else
#define OLDEST "17"
#endif
#define HOOK(result, name, ...)                         \
    extern result (*volatile name##_hook)(__VA_ARGS__); \
    __asm__(".symver " #name "_hook,__" #name "_hook@GLIBC_2." OLDEST)

HOOK(void*, malloc, size_t, const void*);
HOOK(void*, realloc, void*, size_t, const void*);
HOOK(void*, memalign, size_t, size_t, const void*);
HOOK(void, free, void*, const void*);

static int allocated, resized, aligned, freed;

static void* count_malloc(size_t size, const void* caller);
static void* count_realloc(void* block, size_t size, const void* caller);
static void* count_memalign(size_t alignment, size_t size, const void* caller);
static void count_free(void* block, const void* caller);

static void hook(int on) {
    malloc_hook = on ? count_malloc : NULL;
    realloc_hook = on ? count_realloc : NULL;
    memalign_hook = on ? count_memalign : NULL;
    free_hook = on ? count_free : NULL;
}

static void* count_malloc(size_t size, const void* caller) {
    (void)caller;
    ++allocated;
    hook(0);
    void* block = malloc(size);
    hook(1);
    return block;
}
static void* count_realloc(void* block, size_t size, const void* caller) {
    (void)caller;
    ++resized;
    hook(0);
    block = realloc(block, size);
    hook(1);
    return block;
}
static void* count_memalign(size_t alignment, size_t size, const void* caller) {
    (void)caller;
    ++aligned;
    hook(0);
    void* block = memalign(alignment, size);
    hook(1);
    return block;
}
static void count_free(void* block, const void* caller) {
    (void)caller;
    ++freed;
    hook(0);
    free(block);
    hook(1);
}

int main(void) {
    hook(1);
    void* volatile block = malloc(10);
    block = realloc(block, 1000);
    void* volatile other = memalign(64, 100);
    void* volatile zeroed = calloc(1, 10);
    free(block);
    free(other);
    free(zeroed);
    hook(0);
    printf("malloc %d, realloc %d, memalign %d, free %d\n", allocated, resized, aligned, freed);
    return 0;
}
