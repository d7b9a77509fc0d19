// SPDX-License-Identifier: Apache-2.0
// fork beside threads that allocate and free large blocks: the child of jemalloc 5.2.1 may find a lock of its extents
// taken, by a thread that it does not have.
//   cc jemalloc_fork.c -lpthread && LD_PRELOAD=libjemalloc.so.2 ./a.out
// Ends with 1 and "deadlock" at the first child that does not end, with 0 after a hundred.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void churn(unsigned seed, unsigned long rounds) {
    void* blocks[16] = {0};
    for (unsigned long i = 0; rounds == 0 || i < rounds; ++i) {
        seed = seed * 1103515245u + 12345u;
        const unsigned at = seed >> 16 & 15;
        free(blocks[at]);
        blocks[at] = malloc(((seed >> 8) % 64 + 1) * 8192);
        if (blocks[at] != NULL) memset(blocks[at], 1, 1);
    }
    for (int i = 0; i < 16; ++i) free(blocks[i]);
}

static void* churns(void* seed) {
    churn((unsigned)(size_t)seed, 0);
    return NULL;
}

int main(void) {
    pthread_t thread;
    for (size_t i = 1; i <= 4; ++i) pthread_create(&thread, NULL, churns, (void*)i);
    for (int forks = 1; forks <= 100; ++forks) {
        const pid_t child = fork();
        if (child == 0) {
            churn((unsigned)forks, 1000);
            _exit(0);
        }
        int status, tries = 0;
        while (waitpid(child, &status, WNOHANG) == 0) {
            if (++tries == 1000) {
                printf("deadlock: child %d has not ended in ten seconds\n", forks);
                fflush(stdout);
                kill(child, SIGKILL);
                _exit(1);
            }
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
    }
    printf("a hundred children have ended\n");
    fflush(stdout);
    _exit(0);
}
