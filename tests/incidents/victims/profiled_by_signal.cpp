// SPDX-License-Identifier: Apache-2.0
// A busy allocating thread whose samples a profiler takes by signal, beside walks that allocate. The walking thread is
// not sampled: in its own handler it would wait for other locks, as in sampled_in_walk.
#include <pthread.h>
#include <signal.h>

#include "tests/preload/victims/scene.h"

int main() {
    std::atomic<bool> stop = false;
    std::thread walking([&] {
        sigset_t samples;
        sigemptyset(&samples);
        sigaddset(&samples, SIGPROF);
        pthread_sigmask(SIG_BLOCK, &samples, nullptr);
        while (!stop) scene::inside_walk([] { std::free(scene::seen(std::malloc(scene::large))); });
    });
    for (long round = 1; round <= 3'000'000; ++round) {
        std::free(scene::seen(std::malloc(scene::large)));
        if (round % 500'000 == 0) scene::progress("blocks", round);
    }
    stop = true;
    walking.join();
}
