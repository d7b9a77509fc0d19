// SPDX-License-Identifier: Apache-2.0
// Hangs always: two threads, two mutexes, two orders, and a barrier that makes both hold one before asking for the
// other.
#include <pthread.h>

#include <cstdio>
#include <mutex>
#include <thread>

int main() {
    std::puts("started");
    std::fflush(stdout);
    std::mutex first, second;
    pthread_barrier_t both_hold_one;
    pthread_barrier_init(&both_hold_one, nullptr, 2);
    const auto take = [&](std::mutex& own, std::mutex& other) {
        std::lock_guard<std::mutex> held(own);
        pthread_barrier_wait(&both_hold_one);
        std::lock_guard<std::mutex> never(other);
    };
    std::thread opposite(take, std::ref(second), std::ref(first));
    take(first, second);
    opposite.join();
}
