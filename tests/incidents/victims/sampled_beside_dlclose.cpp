// SPDX-License-Identifier: Apache-2.0
// The thread that allocates is sampled; beside it libraries are closed, which frees under the loader lock.
#include "tests/incidents/victims/sampling.h"
#include "tests/walks/victims/stage.h"

namespace {

void look_at_stack() {
    void* frames[32];
    unw_backtrace(frames, 32);
}

void take_sample(int) {
    const int saved = errno;
    look_at_stack();
    sampling::Timer::again();
    errno = saved;
}

}  // namespace

int main() {
    look_at_stack();  // what is set up at first use is set up
    const sampling::Timer timer(take_sample);
    std::atomic<bool> stop = false;
    std::thread closing([&] {
        for (long round = 1; round <= 100; ++round) {
            dlclose(stage::load("libbundle.so"));
            if (round % 20 == 0) scene::progress("closed", round);
        }
        stop = true;
    });
    while (!stop) {
        void* blocks[16];
        for (void*& block : blocks) block = scene::seen(std::malloc(5000));
        for (void* block : blocks) std::free(block);
    }
    closing.join();
}
