// SPDX-License-Identifier: Apache-2.0
// Every way out of a callback but its return: an exception, pthread_exit, pthread_cancel. Afterwards the lock is free,
// and threads and walks are ordinary again.
#include <pthread.h>

#include <stdexcept>

#include "tests/walks/victims/stage.h"

namespace {

char left_by_exit = 0;

void* throws(void*) {
    try {
        scene::inside_walk([] { throw std::runtime_error("out"); });
    } catch (const std::runtime_error&) {
        // The same thread walks and allocates on.
        scene::inside_walk([] { std::free(scene::seen(std::malloc(1000))); });
        std::free(scene::seen(std::malloc(scene::large)));
        return &left_by_exit;
    }
    return nullptr;
}

void* exits(void*) {
    scene::inside_walk([] { pthread_exit(&left_by_exit); });
    return nullptr;
}

void* is_cancelled(void*) {
    scene::inside_walk([] {
        pthread_cancel(pthread_self());
        pthread_testcancel();
    });
    return nullptr;
}

void expect_end(void* (*body)(void*), const void* expected, const char* claim) {
    pthread_t thread;
    void* result = nullptr;
    pthread_create(&thread, nullptr, body, nullptr);
    pthread_join(thread, &result);
    scene::expect(result == expected, claim);
    // Were the lock still held, this would wait for ever.
    std::thread([] { scene::inside_walk([] { std::free(scene::seen(std::malloc(scene::large))); }); }).join();
}

}  // namespace

int main() {
    scene::Growth growth;
    for (long round = 0; round < 100; ++round) {
        expect_end(throws, &left_by_exit, "an exception leaves the callback");
        expect_end(exits, &left_by_exit, "pthread_exit leaves the callback");
        expect_end(is_cancelled, PTHREAD_CANCELED, "a cancelled thread leaves the callback");
    }
    scene::progress("left", 300);
}
