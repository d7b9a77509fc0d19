// SPDX-License-Identifier: Apache-2.0
// A callback that allocates and then throws: the walk ends without its last line, and the thread owns nothing any more.
// What it allocated is good, and what it allocates afterwards is ordinary again.
#include <cstring>
#include <stdexcept>

#include "tests/preload/victims/scene.h"

int main() {
    for (int round = 0; round < 100; ++round) {
        char* inside = nullptr;
        void* outside = scene::seen(std::malloc(1000));
        bool caught = false;
        try {
            scene::inside_walk([&] {
                std::free(outside);
                inside = static_cast<char*>(std::malloc(1000));
                std::memset(inside, 'i', 1000);
                throw std::runtime_error("out of the walk");
            });
        } catch (const std::runtime_error& error) {
            caught = std::strcmp(error.what(), "out of the walk") == 0;
        }
        scene::expect(caught && inside[999] == 'i', "the exception arrives, and the block is good");
        std::free(inside);
        // Were the thread still taken for an owner, the report would count these as diverted.
        for (int ordinary = 0; ordinary < 1000; ++ordinary) std::free(scene::seen(std::malloc(100)));
        // Were the lock still held, this thread would wait for ever.
        std::thread([] { scene::inside_walk([] {}); }).join();
    }
    scene::progress("thrown", 100);
}
