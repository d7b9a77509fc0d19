// SPDX-License-Identifier: Apache-2.0
// Small blocks inside a walk, enough of them that the allocator has to cut new pages. The callback lets others run in
// between, or on a busy machine the two threads would hardly meet.
#include <vector>

#include "tests/preload/victims/scene.h"

int main() {
    scene::Growth growth;
    for (long round = 1; round <= 50; ++round) {
        std::vector<void*> blocks(800);
        scene::inside_walk([&] {
            for (std::size_t i = 0; i < blocks.size(); ++i) {
                blocks[i] = scene::seen(std::malloc(3000));
                if (i % 100 == 0) std::this_thread::yield();
            }
        });
        for (void* block : blocks) std::free(block);
        if (round % 10 == 0) scene::progress("walks", round);
    }
}
