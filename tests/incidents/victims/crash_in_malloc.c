// SPDX-License-Identifier: Apache-2.0
// A heap that is found broken inside malloc, and a crash reporter that takes a stack trace of it. backtrace() loads
// libgcc_s at first use; this program does not link it.
#include <dlfcn.h>
#include <execinfo.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Of the shim, if it is there: the start of its statistics page (policy/stats_page.h, whose layout is frozen).
static const struct {
    char header[64];
    uint64_t counters[21];
} * statistics;
enum { diverted = 4 };

static void say(const char* words) {
    // Not printf: it allocates.
    if (write(STDOUT_FILENO, words, strlen(words)) < 0) _exit(2);
}

static void report_crash(int signal) {
    void* frames[32];
    const int count = backtrace(frames, 32);
    (void)signal;
    say(count > 2 ? "crashed, and the stack is known\n" : "crashed, and nobody knows where\n");
    if (statistics != NULL && statistics->counters[diverted] != 0) say("diverted\n");
    _exit(count > 2 ? 0 : 1);
}

static void* live(void* unused) {
    (void)unused;
    pause();
    return NULL;
}

int main(void) {
    pthread_t other;
    statistics = dlsym(RTLD_DEFAULT, "unknot_stats");
    signal(SIGABRT, report_crash);
    pthread_create(&other, NULL, live, NULL);  // with one thread alone libc would not lock
    // The block borders on what is left of the heap, whose size stands behind it.
    char* volatile last = malloc(100000);
    memset(last, 0xff, malloc_usable_size(last) + sizeof(size_t));
    char* volatile next = malloc(90000);
    say(next != NULL ? "no crash\n" : "no memory\n");
    return 1;
}
