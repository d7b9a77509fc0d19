// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/thread_state.h"

#include <pthread.h>

namespace unknot {

constinit __thread ThreadState thread_state [[gnu::tls_model("initial-exec")]] = {
    .watched = &nobody,
    .id = nobody,
    .walks = 0,
    .outermost_walk = nullptr,
    .resolving = false,
    .has_exit_hook = false,
    .walk_by_inner_code = false,
    .drain = Drain::nothing,
    .unpublished_walks = 0,
    .last_walk_caller = {},
    .plain_walk = {},
    .slow_calls = 0,
    .cursor = {},
};

namespace {
constinit pthread_key_t exit_key = 0;
constinit bool has_exit_key = false;
constinit bool no_key_is_free = false;
}  // namespace

void renew_thread() {
    if (thread_state.id != nobody) thread_state.id = id_in_mutexes();
}

bool prepare_exit_hook(void (*at_exit)(void*)) {
    has_exit_key = pthread_key_create(&exit_key, at_exit) == 0;
    no_key_is_free = !has_exit_key;
    return has_exit_key;
}

void arm_exit_hook(ThreadState& thread) {
    if (no_key_is_free) thread.cursor.fleeting = true;
    if (thread.has_exit_hook || !has_exit_key) return;
    // First, because glibc callocs room for keys of 32 and above: that call comes back here.
    thread.has_exit_hook = true;
    pthread_setspecific(exit_key, &thread);
}

}  // namespace unknot
