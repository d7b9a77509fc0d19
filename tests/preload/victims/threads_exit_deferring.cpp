// SPDX-License-Identifier: Apache-2.0
// Threads that free under the loader lock and end at once, some inside the walk itself: every put-off free must reach
// the real allocator all the same, by somebody else's hand.
#include <pthread.h>

#include <vector>

#include "tests/preload/victims/scene.h"

namespace {

void free_inside_walk(std::size_t blocks) {
    std::vector<void*> held(blocks);
    for (void*& block : held) block = scene::seen(std::malloc(1000));
    scene::inside_walk([&] {
        for (void* block : held) std::free(block);
    });
}

// Ends by an exception of its own kind that runs through the callback.
void* end_inside_walk(void*) {
    void* block = scene::seen(std::malloc(1000));
    scene::inside_walk([&] {
        std::free(block);
        pthread_exit(nullptr);
    });
    return nullptr;
}

}  // namespace

int main() {
    scene::Growth growth;
    for (long round = 0; round < 50; ++round) {
        std::thread first(free_inside_walk, 10);
        std::thread second(free_inside_walk, 20);
        pthread_t third;
        pthread_create(&third, nullptr, end_inside_walk, nullptr);
        first.join();
        second.join();
        pthread_join(third, nullptr);
    }
    std::free(scene::seen(std::malloc(1000)));  // whoever owns no loader lock drains
    scene::progress("threads", 150);
}
