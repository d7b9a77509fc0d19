// SPDX-License-Identifier: Apache-2.0
// A library of the program whose constructor starts a thread that grows the heap, and allocates in walks beside it:
// before the program, and before a shim that waits for its turn among the constructors.
#include "tests/preload/victims/scene.h"

namespace {

constexpr int growths = 2000;

struct Early {
    Early() {
        std::atomic<bool> grown = false;
        std::thread thread([&grown] {
            growth::Heap heap(growths);
            for (int i = 0; i < growths; ++i) heap.grow();
            grown = true;
        });
        long walks = 0;
        while (!grown) {
            scene::inside_walk([] { std::free(scene::seen(std::malloc(scene::large))); });
            if (++walks % 1000 == 0) scene::progress("walks", walks);
        }
        thread.join();
    }
} early;

}  // namespace
