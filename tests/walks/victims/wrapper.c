// SPDX-License-Identifier: Apache-2.0
// A preload that wraps dl_iterate_phdr as some do: none of them is made for a walk inside its own walk. WRAPPER_...
// says what it does beside passing on.
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

typedef int callback_function(struct dl_phdr_info*, size_t, void*);

static int (*next)(callback_function*, void*);
// The program's, for want of a place in `data`.
static callback_function* program_callback;

#ifndef WRAPPER_JUMPS
static int hand_on(struct dl_phdr_info* info, size_t size, void* data) {
    return program_callback(info, size, data);
}
#endif

#ifdef WRAPPER_LOCKS
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
#endif

#ifdef WRAPPER_WALKS
static __thread int within;
static int count_one(struct dl_phdr_info* info, size_t size, void* data) {
    (void)info, (void)size;
    ++*(int*)data;
    return 0;
}
#endif

#ifdef WRAPPER_JUMPS
static __thread jmp_buf* out;
static int jump_out(struct dl_phdr_info* info, size_t size, void* data) {
    const int result = program_callback(info, size, data);
    if (result != 0) {
        // libc's lock stays with this thread, which the program's walks make no difference of.
        longjmp(*out, result);
    }
    return 0;
}
#endif

int dl_iterate_phdr(callback_function* callback, void* data) {
    if (next == NULL) next = (int (*)(callback_function*, void*))dlsym(RTLD_NEXT, "dl_iterate_phdr");
#if defined(WRAPPER_ALLOCATES)
    char* volatile note = malloc(1000);
    if (note != NULL) memset(note, 1, 1000);
    free(note);
    program_callback = callback;
    const int result = next(hand_on, data);
    free(malloc(2000));
    return result;
#elif defined(WRAPPER_WALKS)
    int objects = 0;
    if (!within) {
        within = 1;
        dl_iterate_phdr(count_one, &objects);
        within = 0;
        if (objects == 0) abort();
    }
    program_callback = callback;
    return next(hand_on, data);
#elif defined(WRAPPER_JUMPS)
    jmp_buf here;
    jmp_buf* const outer = out;
    out = &here;
    int result = setjmp(here);
    if (result == 0) {
        program_callback = callback;
        result = next(jump_out, data);
    }
    out = outer;
    return result;
#elif defined(WRAPPER_LOCKS)
    pthread_mutex_lock(&lock);
    program_callback = callback;
    const int result = next(hand_on, data);
    pthread_mutex_unlock(&lock);
    return result;
#else
    program_callback = callback;
    return next(hand_on, data);
#endif
}
