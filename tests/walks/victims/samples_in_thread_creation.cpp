// SPDX-License-Identifier: Apache-2.0
// A sampling profiler interrupts threads that begin, walk, allocate and end.
#include "tests/walks/victims/samples.h"

int main(int argc, char** argv) {
    samples::Sampler sampler(argc, argv);
    while (sampler.goes_on()) {
        std::thread([] {
            void* block = scene::seen(std::malloc(100));
            scene::inside_walk([&] {
                std::free(block);
                block = scene::seen(std::malloc(100));
            });
            std::free(block);
        }).join();
    }
}
