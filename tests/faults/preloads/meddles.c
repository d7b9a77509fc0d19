// SPDX-License-Identifier: Apache-2.0
// A wrapper of one function that comes back in the middle of it, as lock profilers, tracers and sanitizers do: it
// allocates, walks the loaded objects and takes a lock of its own. MEDDLES_WITH_... says of which function. With
// MEDDLES_LATE it knows the true function from its constructor on, and a call before that is its end.
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

static __thread int inside;
static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;

static int allocate_in_walk(struct dl_phdr_info* info, size_t size, void* data) {
    (void)info, (void)size, (void)data;
    free(malloc(100));
    return 1;
}

__attribute__((unused)) static void meddle(void) {
    if (inside) return;
    inside = 1;
    void* volatile block = malloc(64);
    block = realloc(block, 5000);
    dl_iterate_phdr(allocate_in_walk, NULL);
    pthread_mutex_lock(&own);
    free(block);
    block = calloc(3, 100);
    pthread_mutex_unlock(&own);
    free(block);
    inside = 0;
}

static int look(struct dl_phdr_info* info, size_t size, void* data) {
    (void)info, (void)size, (void)data;
    return 0;
}

// The same without an allocation, for what an allocator calls inside malloc.
__attribute__((unused)) static void look_around(void) {
    if (inside) return;
    inside = 1;
    pthread_mutex_lock(&own);
    dl_iterate_phdr(look, NULL);
    pthread_mutex_unlock(&own);
    inside = 0;
}

// A look-up that is not the wrapped one.
#if defined(__x86_64__)
#define BASE_VERSION "GLIBC_2.2.5"
#else
#define BASE_VERSION "GLIBC_2.17"
#endif
#if defined(MEDDLES_WITH_walk)  // by its version the shim's, which has none, would not be found
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#else
#define REAL(name) ((__typeof__(&name))dlvsym(RTLD_NEXT, #name, BASE_VERSION))
#endif
#if defined(MEDDLES_LATE)
#define WRAPS(name)                                       \
    static __typeof__(&name) next;                        \
    __attribute__((constructor)) static void find(void) { \
        next = REAL(name);                                \
    }
#define FIND_FIRST(name)
#else
#define WRAPS(name) static __typeof__(&name) next;
#define FIND_FIRST(name) \
    if (next == NULL) next = REAL(name);
#endif

#if defined(MEDDLES_WITH_lock)
WRAPS(pthread_mutex_lock)
int pthread_mutex_lock(pthread_mutex_t* mutex) {
    FIND_FIRST(pthread_mutex_lock)
    meddle();
    return next(mutex);
}
#elif defined(MEDDLES_WITH_trylock)
// jemalloc calls both inside malloc and free, its own lock taken: allocating there is its end, shim or not.
extern int mallctl(const char*, void*, size_t*, void*, size_t) __attribute__((weak));
static void meddle_here(void) {
    if (mallctl != NULL) {
        look_around();
    } else {
        meddle();
    }
}
int pthread_mutex_trylock(pthread_mutex_t* mutex) {
    static __typeof__(&pthread_mutex_trylock) next;
    if (next == NULL) next = REAL(pthread_mutex_trylock);
    meddle_here();
    return next(mutex);
}
int pthread_mutex_unlock(pthread_mutex_t* mutex) {
    static __typeof__(&pthread_mutex_unlock) next;
    if (next == NULL) next = REAL(pthread_mutex_unlock);
    meddle_here();
    return next(mutex);
}
#elif defined(MEDDLES_WITH_dlsym)
// The last call is a jump (built with -O2), so that dlsym goes by the address of the caller.
WRAPS(dlsym)
void* dlsym(void* restrict handle, const char* restrict name) {
    FIND_FIRST(dlsym)
    meddle();
    return next(handle, name);
}
#elif defined(MEDDLES_WITH_walk)
WRAPS(dl_iterate_phdr)
int dl_iterate_phdr(int (*callback)(struct dl_phdr_info*, size_t, void*), void* data) {
    FIND_FIRST(dl_iterate_phdr)
    meddle();
    return next(callback, data);
}
#elif defined(MEDDLES_WITH_mmap)
WRAPS(mmap)
void* mmap(void* at, size_t bytes, int protection, int flags, int file, off_t offset) {
    FIND_FIRST(mmap)
    look_around();
    return next(at, bytes, protection, flags, file, offset);
}
#endif
