// SPDX-License-Identifier: Apache-2.0
// A busy allocating thread whose samples a profiler takes by signal, beside walks that allocate.
#include "tests/preload/victims/scene.h"

int main() {
    std::atomic<bool> stop = false;
    std::thread walking([&] {
        while (!stop) scene::inside_walk([] { std::free(scene::seen(std::malloc(scene::large))); });
    });
    for (long round = 1; round <= 3'000'000; ++round) {
        std::free(scene::seen(std::malloc(scene::large)));
        if (round % 500'000 == 0) scene::progress("blocks", round);
    }
    stop = true;
    walking.join();
}
