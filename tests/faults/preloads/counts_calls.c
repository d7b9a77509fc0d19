// SPDX-License-Identifier: Apache-2.0
// Counts what reaches libc of what a process allocates, registers and takes, and writes the counts to the file that
// COUNTS names when it ends. Preloaded behind the shim.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static long allocations, keys, fork_handlers;

extern void* __libc_malloc(size_t size);
extern void* __libc_calloc(size_t count, size_t size);
extern void* __libc_realloc(void* block, size_t size);
extern void __libc_free(void* block);
extern void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) {
    ++allocations;
    return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
    ++allocations;
    return __libc_calloc(count, size);
}
void* realloc(void* block, size_t size) {
    ++allocations;
    return __libc_realloc(block, size);
}
void free(void* block) {
    if (block != NULL) ++allocations;
    __libc_free(block);
}
int posix_memalign(void** out, size_t alignment, size_t size) {
    ++allocations;
    *out = __libc_memalign(alignment, size);
    return *out == NULL;
}

int pthread_key_create(pthread_key_t* key, void (*at_exit)(void*)) {
    static __typeof__(&pthread_key_create) next;
    if (next == NULL) next = (__typeof__(next))dlsym(RTLD_NEXT, "pthread_key_create");
    ++keys;
    return next(key, at_exit);
}

extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void*);
int __register_atfork(void (*before)(void), void (*parent)(void), void (*child)(void), void* object) {
    static __typeof__(&__register_atfork) next;
    if (next == NULL) next = (__typeof__(next))dlsym(RTLD_NEXT, "__register_atfork");
    ++fork_handlers;
    return next(before, parent, child, object);
}

__attribute__((destructor)) static void write_counts(void) {
    char text[200];
    const int bytes =
        snprintf(text, sizeof text, "allocations %ld keys %ld fork handlers %ld\n", allocations, keys, fork_handlers);
    const int file = open(getenv("COUNTS"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || write(file, text, (size_t)bytes) != bytes) abort();
    close(file);
}
