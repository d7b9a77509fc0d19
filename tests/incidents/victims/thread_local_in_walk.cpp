// SPDX-License-Identifier: Apache-2.0
// A callback that uses a thread-local variable of a plug-in for the first time in its thread: ld.so allocates it there.
#include "tests/walks/victims/stage.h"

int main() {
    scene::Growth growth;
    auto* touch_own = stage::find<void()>(stage::load("libincident_thread_local_plugin.so"), "touch_own");
    for (long round = 1; round <= 500; ++round) {
        std::thread([&] { scene::inside_walk([&] { touch_own(); }); }).join();
        if (round % 100 == 0) scene::progress("threads", round);
    }
}
