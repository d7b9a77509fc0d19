// SPDX-License-Identifier: Apache-2.0
// A program under a heap tracker: one thread allocates inside walks, one allocates all the time, and libraries come and
// go, so that the tracker has to look at the list of modules again and again.
#include <string>

#include "tests/walks/victims/stage.h"

int main(int, char** argv) {
    // By path: heaptrack wraps dlopen, so that this program's RUNPATH is lost.
    const std::string program = argv[0];
    const std::string plugin = program.substr(0, program.rfind('/')) + "/../walks/libwalks_plugin.so";
    std::atomic<bool> stop = false;
    std::thread allocating([&] {
        while (!stop) std::free(scene::seen(std::malloc(100)));
    });
    std::thread walking([&] {
        while (!stop) {
            scene::inside_walk([] {
                std::this_thread::yield();  // on a busy machine the threads would hardly meet else
                std::free(scene::seen(std::malloc(100)));
            });
        }
    });
    for (long round = 1; round <= 600; ++round) {
        dlclose(stage::load(plugin.c_str()));
        scene::progress("loaded", round);
    }
    stop = true;
    allocating.join();
    walking.join();
}
