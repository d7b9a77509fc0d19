// SPDX-License-Identifier: Apache-2.0
// libunwind calls dl_iterate_phdr while it owns the lock of its register-state cache. A thread that unwinds inside a
// dl_iterate_phdr callback owns the loader's lock and wants the cache's; a thread that unwinds anywhere else takes them
// the other way round.
//   cc -O1 -fno-inline libunwind_cache_lock.c -lunwind -lpthread && ./a.out
// Ends with 1 and "deadlock" once neither thread has got on for three seconds, with 0 after a million stack traces.
#define _GNU_SOURCE
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_ulong traces;
static atomic_ulong walks;

static void trace(void) {
    unw_context_t context;
    unw_cursor_t cursor;
    unw_getcontext(&context);
    unw_init_local(&cursor, &context);
    while (unw_step(&cursor) > 0) {
    }
}

// The cache holds 128 return addresses: more call sites than that, so that it is asked for what it does not know.
#define SITE(n)               \
    case n:                   \
        trace();              \
        __asm__ volatile(""); \
        break;
#define SITES_4(n) SITE(n) SITE(n + 1) SITE(n + 2) SITE(n + 3)
#define SITES_16(n) SITES_4(n) SITES_4(n + 4) SITES_4(n + 8) SITES_4(n + 12)
#define SITES_64(n) SITES_16(n) SITES_16(n + 16) SITES_16(n + 32) SITES_16(n + 48)
#define SITES_256(n) SITES_64(n) SITES_64(n + 64) SITES_64(n + 128) SITES_64(n + 192)

static void trace_from(unsigned site) {
    switch (site % 512) { SITES_256(0) SITES_256(256) }
}

static void* unwinds(void* unused) {
    for (;;) trace_from((unsigned)atomic_fetch_add(&traces, 1));
    return unused;
}

static int unwinds_in_callback(struct dl_phdr_info* info, size_t size, void* data) {
    (void)info, (void)size, (void)data;
    trace_from((unsigned)atomic_load(&walks) * 7);
    return 1;
}

static void* walks_objects(void* unused) {
    for (;; atomic_fetch_add(&walks, 1)) dl_iterate_phdr(unwinds_in_callback, NULL);
    return unused;
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, unwinds, NULL);
    pthread_create(&thread, NULL, walks_objects, NULL);
    unsigned long last_traces = 0, last_walks = 0;
    for (int still = 0; still < 3;) {
        sleep(1);
        const unsigned long now_traces = atomic_load(&traces), now_walks = atomic_load(&walks);
        still = now_traces == last_traces && now_walks == last_walks ? still + 1 : 0;
        last_traces = now_traces, last_walks = now_walks;
        if (now_traces > 1000000) {
            printf("no deadlock in %lu traces beside %lu walks\n", now_traces, now_walks);
            return 0;
        }
    }
    printf("deadlock after %lu traces and %lu walks\n", last_traces, last_walks);
    fflush(stdout);
    _exit(1);
}
