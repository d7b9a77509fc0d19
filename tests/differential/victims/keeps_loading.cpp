// SPDX-License-Identifier: Apache-2.0
// For a preloaded profiler, which samples by itself: loads, fails to load, throws and starts threads for a while.
//   keeps_loading ROUNDS
#include "tests/differential/stage.h"

int main(int, char** argv) {
    stage::warm_up();
    for (int i = std::atoi(argv[1]); i > 0; --i) {
        for (const char* what : {"load", "load_failing", "throw", "walk"}) stage::work(what);
        if (i % 16 == 0) std::thread([] { stage::work("load"); }).join();
    }
    std::puts("loaded");
    return 0;
}
