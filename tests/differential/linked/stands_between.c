// SPDX-License-Identifier: Apache-2.0
// Between the program and linked/early_handlers.c, so that the loader runs that one's constructor early.
#include <pthread.h>

pthread_mutex_t* lock_of_early_handlers(void);
void early_handlers_do(void (*work)(void));

pthread_mutex_t* early_lock_passed_on(void) {
    return lock_of_early_handlers();
}
void early_work_passed_on(void (*work)(void)) {
    early_handlers_do(work);
}
