/* SPDX-License-Identifier: Apache-2.0
   No hang: musl has neither edge. What programs do with malloc, in threads, beside walks, loading and forks; what it
   prints depends on every block that it writes. */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { threads = 8, rounds = 2000 };

static int allocate_in_callback(struct dl_phdr_info* info, size_t size, void* sum) {
    (void)info, (void)size;
    char* block = malloc(300);
    memset(block, 1, 300);
    *(unsigned long*)sum += (unsigned char)block[299];
    free(block);
    return 0;
}

static void* work(void* unused) {
    (void)unused;
    unsigned long sum = 0;
    for (unsigned long i = 0; i < rounds; ++i) {
        unsigned char* block = calloc(i + 1, 2);
        block = realloc(block, 4 * i + 4);
        block[4 * i + 3] = 1;
        sum += block[i] + block[4 * i + 3];
        free(block);
        void* aligned = NULL;
        if (posix_memalign(&aligned, 256, i + 1) != 0 || (unsigned long)aligned % 256 != 0) return NULL;
        free(aligned);
        if (i % 100 == 0) {
            unsigned long walked = 0;
            dl_iterate_phdr(allocate_in_callback, &walked);
            sum += walked != 0;
            sum += dlopen("/nonexistent/library.so", RTLD_NOW) == NULL;
        }
    }
    return (void*)sum;
}

static int in_a_child(void) {
    const pid_t child = fork();
    if (child == 0) _exit(work(NULL) != NULL ? 7 : 1);
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(void) {
    pthread_t thread[threads];
    unsigned long sum = 0;
    for (int i = 0; i < threads; ++i) pthread_create(&thread[i], NULL, work, NULL);
    for (int i = 0; i < threads; ++i) {
        void* part = NULL;
        pthread_join(thread[i], &part);
        sum += (unsigned long)part;
    }
    printf("%lu in the threads, %d in a child\n", sum, in_a_child());
    return 0;
}
