// SPDX-License-Identifier: Apache-2.0
// A callback that asks dladdr about an address: write lock, then load lock. Beside it a library comes and goes: load
// lock, then write lock.
#include "tests/walks/victims/stage.h"

int main() {
    std::atomic<bool> stop = false;
    std::thread walking([&] {
        while (!stop) {
            scene::inside_walk([] {
                Dl_info about{};
                scene::expect(dladdr(reinterpret_cast<void*>(&main), &about) != 0, "the program is known");
            });
        }
    });
    for (long round = 1; round <= 20'000; ++round) {
        dlclose(stage::load("libwalks_plugin.so"));
        if (round % 1000 == 0) scene::progress("loaded", round);
    }
    stop = true;
    walking.join();
}
