// SPDX-License-Identifier: Apache-2.0
// Allocates under the loader's lock, then forks: the child's statistics begin with the parent's. Both wait to be ended.
#define _GNU_SOURCE
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static int allocate(struct dl_phdr_info* info, size_t size, void* data) {
    (void)info, (void)size, (void)data;
    for (int i = 0; i < 1000; ++i) free(malloc(100));
    return 1;
}

int main(void) {
    dl_iterate_phdr(allocate, NULL);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) pause();
    }
    if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
    for (;;) pause();
}
