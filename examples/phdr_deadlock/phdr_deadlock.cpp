// SPDX-License-Identifier: Apache-2.0
// Two threads, two locks, two orders. The growing thread allocates (allocator lock) and its allocator takes a stack
// trace (loader lock); the walking thread walks the loaded objects (loader lock) and allocates in the callback
// (allocator lock).
//   phdr_deadlock [malloc|calloc|realloc|free|new|grow|lock3] [growths]
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "examples/phdr_deadlock/growth.h"
#include "examples/phdr_deadlock/shapes.h"

int main(int argc, char** argv) {
    const shapes::NamedShape* shape = shapes::find_shape(argc > 1 ? argv[1] : "malloc");
    const std::size_t growths = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 8192;
    if (shape == nullptr || growths == 0) {
        std::fprintf(stderr, "usage: phdr_deadlock [malloc|calloc|realloc|free|new|grow|lock3] [growths]\n");
        return 2;
    }
    const bool lock_while_growing = shapes::locks_while_growing(*shape);

    std::atomic<std::size_t> walks = 0;
    std::atomic<bool> grown = false;
    std::thread walking([&] {
        // At least some walks after the heap has grown, so that a run that ends has done both.
        for (std::size_t after = 0; after < 16; after += grown ? 1 : 0) {
            shapes::walk_once(shape->run);
            ++walks;
        }
    });
    std::thread growing([&] {
        growth::Heap heap(growths);
        for (std::size_t done = 1; done <= growths; ++done) {
            std::unique_lock<std::mutex> held(shapes::application_lock, std::defer_lock);
            if (lock_while_growing) held.lock();
            heap.grow();
            shapes::growths_done = done;
            if (done % 1024 == 0) dprintf(STDOUT_FILENO, "%zu growths, %zu walks\n", done, walks.load());
        }
        grown = true;
    });
    growing.join();
    walking.join();
    std::printf("done: %s, %zu growths, %zu walks\n", shape->name, growths, walks.load());
    return 0;
}
