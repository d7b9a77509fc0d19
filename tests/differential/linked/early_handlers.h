// SPDX-License-Identifier: Apache-2.0
// Fork handlers that take a lock of their own before, and give it back after; or that do something else.
#pragma once

#include <pthread.h>

pthread_mutex_t* lock_of_early_handlers();
void early_handlers_do(void (*work)());
