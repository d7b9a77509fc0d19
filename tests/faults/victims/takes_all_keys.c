// SPDX-License-Identifier: Apache-2.0
// Says how many thread-specific keys a program can have.
#include <pthread.h>
#include <stdio.h>

int main(void) {
    int keys = 0;
    pthread_key_t key;
    while (pthread_key_create(&key, NULL) == 0) ++keys;
    printf("%d keys\n", keys);
    return 0;
}
