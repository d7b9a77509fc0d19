// SPDX-License-Identifier: Apache-2.0
// Does a little of everything that a program does, once.
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int count(struct dl_phdr_info* info, size_t size, void* data) {
    (void)info, (void)size;
    void* volatile block = malloc(3000);
    free(block);
    ++*(int*)data;
    return 0;
}

static void* in_a_thread(void* data) {
    int objects = 0;
    dl_iterate_phdr(count, &objects);
    char* volatile copy = strdup(data);
    const long length = objects > 2 ? (long)strlen(copy) : -1;
    free(copy);
    return (void*)length;
}

int main(void) {
    int objects = 0;
    dl_iterate_phdr(count, &objects);
    printf("walks: %d\n", objects > 2);
    for (int i = 0; i < 20; ++i) {
        void* library = dlopen("libm.so.6", RTLD_NOW);
        printf("loads: %d", library != NULL && dlsym(library, "cos") != NULL);
        if (library != NULL) dlclose(library);
        printf(" fails: %d\n", dlopen("/no/such/library.so", RTLD_NOW) == NULL && dlerror() != NULL);
    }
    pthread_t thread;
    void* answer = NULL;
    pthread_create(&thread, NULL, in_a_thread, "a thread's words");
    pthread_join(thread, &answer);
    printf("threads: %ld\n", (long)answer);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        in_a_thread("child");
        _exit(7);
    }
    int status = 0;
    waitpid(child, &status, 0);
    char* volatile grown = NULL;
    for (size_t size = 1; size < 3000000; size *= 3) grown = realloc(grown, size);
    free(grown);
    printf("forks: %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return 0;
}
