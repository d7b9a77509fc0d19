// SPDX-License-Identifier: Apache-2.0
// Takes every thread-specific key there is, before the shim needs one. Preloaded behind the shim.
#include <pthread.h>

__attribute__((constructor)) static void take(void) {
    pthread_key_t key;
    while (pthread_key_create(&key, NULL) == 0) {
    }
}
