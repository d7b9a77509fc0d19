// SPDX-License-Identifier: Apache-2.0
// fork beside a thread in dl_iterate_phdr: the child inherits the loader's _dl_load_write_lock, owned by a thread that
// it does not have, and hangs in its own first walk: a C++ exception, backtrace(), dlclose.
//   cc glibc_fork_child.c -lpthread && ./a.out
// Ends with 1 and "deadlock" where the child sleeps for ever, with 0 where it walks.
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static sem_t inside, may_leave;

static int stays(struct dl_phdr_info* info, size_t size, void* data) {
    (void)info, (void)size, (void)data;
    sem_post(&inside);
    sem_wait(&may_leave);
    return 1;
}

static int leaves(struct dl_phdr_info* info, size_t size, void* data) {
    (void)info, (void)size, (void)data;
    return 1;
}

static void* walks(void* unused) {
    dl_iterate_phdr(stays, NULL);
    return unused;
}

int main(void) {
    pthread_t thread;
    sem_init(&inside, 0, 0);
    sem_init(&may_leave, 0, 0);
    pthread_create(&thread, NULL, walks, NULL);
    sem_wait(&inside);
    const pid_t child = fork();
    if (child == 0) _exit(dl_iterate_phdr(leaves, NULL) == 1 ? 0 : 2);
    sem_post(&may_leave);  // the parent's walk is over at once; the child's lock stays
    pthread_join(thread, NULL);
    int status;
    for (int seconds = 0; seconds < 5; ++seconds) {
        if (waitpid(child, &status, WNOHANG) == child) {
            printf("the child has walked, status %d\n", status);
            return 0;
        }
        sleep(1);
    }
    printf("deadlock: the child waits for a thread that it does not have\n");
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return 1;
}
