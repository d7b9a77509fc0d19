// SPDX-License-Identifier: Apache-2.0
// libunknot_check.so, an allocator for `unknot check` alone: libc's, behind one lock, and inside that lock it walks the
// loaded objects, as an allocator does that takes a stack trace when its heap grows. So the check has both edges of the
// cycle on every system, whichever allocators are installed there.
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <stddef.h>

extern void* __libc_malloc(size_t size);
extern void* __libc_calloc(size_t count, size_t size);
extern void* __libc_realloc(void* block, size_t size);
extern void __libc_free(void* block);

static pthread_mutex_t heap = PTHREAD_MUTEX_INITIALIZER;

static int first_object(struct dl_phdr_info* info, size_t size, void* data) {
    (void)info, (void)size, (void)data;
    return 1;
}

// Only what counts as growth is traced, or every call would wait for every walk and nobody would get anywhere.
static void lock_heap(size_t size) {
    pthread_mutex_lock(&heap);
    if (size >= 65536) dl_iterate_phdr(first_object, NULL);
}

void* malloc(size_t size) {
    lock_heap(size);
    void* block = __libc_malloc(size);
    pthread_mutex_unlock(&heap);
    return block;
}

void* calloc(size_t count, size_t size) {
    lock_heap(size);
    void* block = __libc_calloc(count, size);
    pthread_mutex_unlock(&heap);
    return block;
}

void* realloc(void* block, size_t size) {
    lock_heap(size);
    void* grown = __libc_realloc(block, size);
    pthread_mutex_unlock(&heap);
    return grown;
}

void free(void* block) {
    lock_heap(0);
    __libc_free(block);
    pthread_mutex_unlock(&heap);
}
