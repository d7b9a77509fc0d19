// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/thread_state.h"

#include <pthread.h>

#include <atomic>

#include "shim/log/report.h"

namespace unknot {

constinit __thread ThreadState thread_state [[gnu::tls_model("initial-exec")]] = {
    .watched = &nobody,
    .slow_at = nobody,
    .id = nobody,
    .walks = 0,
    .outermost_walk = nullptr,
    .ready = false,
    .resolving = false,
    .has_exit_hook = false,
    .walk_by_inner_code = false,
    .drain = Drain::nothing,
    .unpublished_walks = 0,
    .last_walk_caller = {},
    .plain_walk = {},
    .unwinding_place = nullptr,
    .stretch = {},
    .slow_calls = 0,
    .cursor = {},
};

namespace {

enum class ExitKey : std::uint8_t { untried, being_made, made, none_free };

using ExitHook = void (*)(void*);
constinit ExitHook exit_hook = nullptr;
constinit pthread_key_t exit_key = 0;
constinit std::atomic<ExitKey> exit_key_state{ExitKey::untried};

// Made when the first thread needs it: a program that wants all keys for itself, and diverts nothing, gets them all.
bool make_exit_key() {
    ExitKey state = ExitKey::untried;
    // Acquire pairs with the release below: who sees "made" sees the key.
    if (!exit_key_state.compare_exchange_strong(state, ExitKey::being_made, std::memory_order_acquire)) {
        return state == ExitKey::made;  // while somebody makes it, the next time
    }
    const bool made = pthread_key_create(&exit_key, exit_hook) == 0;
    exit_key_state.store(made ? ExitKey::made : ExitKey::none_free, std::memory_order_release);
    if (!made) report::no_exit_hook();
    return made;
}

}  // namespace

void prepare_exit_hook(void (*at_exit)(void*)) {
    exit_hook = at_exit;
}

void arm_exit_hook(ThreadState& thread) {
    if (thread.has_exit_hook || exit_hook == nullptr) return;
    if (!make_exit_key()) {
        thread.cursor.fleeting = true;
        return;
    }
    // First, because glibc callocs room for keys of 32 and above: that call comes back here.
    thread.has_exit_hook = true;
    pthread_setspecific(exit_key, &thread);
}

}  // namespace unknot
