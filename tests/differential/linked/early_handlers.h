// SPDX-License-Identifier: Apache-2.0
// Fork handlers that take a lock of their own before, and give it back after; or that do something else. Reached
// through linked/stands_between.c.
#pragma once

#include <pthread.h>

extern "C" pthread_mutex_t* early_lock_passed_on();
extern "C" void early_work_passed_on(void (*work)());
