// SPDX-License-Identifier: Apache-2.0
// Takes every thread-specific key that is left, says how many, and still works: in main, or before anybody else.
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static int count(struct dl_phdr_info* info, size_t size, void* data) {
    (void)info, (void)size, (void)data;
    void* volatile block = malloc(3000);
    free(block);
    return 0;
}

static void* work(void* unused) {
    (void)unused;
    return (void*)(long)dl_iterate_phdr(count, NULL);
}

int main(void) {
    pthread_key_t key;
    int keys = 0;
    while (pthread_key_create(&key, NULL) == 0) ++keys;
    printf("%d keys\n", keys);
    for (int i = 0; i < 50; ++i) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, NULL) != 0) return 1;
        pthread_join(thread, NULL);
    }
    return 0;
}
