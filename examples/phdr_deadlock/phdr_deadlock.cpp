// SPDX-License-Identifier: Apache-2.0
// Two threads, two locks, two orders. The growing thread allocates (allocator lock) and its allocator takes a stack
// trace (loader lock); the walking thread walks the loaded objects (loader lock) and allocates in the callback
// (allocator lock).
//   phdr_deadlock [malloc|calloc|realloc|free|new|grow|lock3] [growths]
#include <link.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <thread>

#include "examples/phdr_deadlock/growth.h"

namespace {

// Above tcmalloc's largest size class (256 KiB), so every call needs the page heap and its lock.
constexpr std::size_t walk_bytes = 300'000;

std::mutex application_lock;
bool lock_while_growing = false;
std::atomic<std::size_t> growths_done = 0;

// The compiler may remove a pair of malloc and free that nobody looks at.
void* seen(void* block) {
    asm volatile("" : "+r"(block));
    return block;
}

// Grows the heap itself, so its own stack trace wants the unwinder's lock: gperftools from 2.11 takes the trace outside
// of the page heap's lock, and libunwind asks the loader while it holds its cache's. The blocks are kept, so it is one
// for many of the growing thread's.
void grow_in_walk() {
    constexpr std::size_t every = 8;
    static std::size_t last = 0;
    const std::size_t now = growths_done / every;
    if (std::exchange(last, now) != now) seen(std::malloc(growth::block_bytes));
}

// What the walking thread does while it owns the loader lock. `block` was allocated before the walk and is freed after
// it.
using Shape = void (*)(void*& block);

struct NamedShape {
    const char* name;
    Shape run;
};

constexpr NamedShape shapes[] = {
    {"malloc", [](void*&) { std::free(seen(std::malloc(walk_bytes))); }},
    {"calloc", [](void*&) { std::free(seen(std::calloc(3, walk_bytes / 3))); }},
    {"realloc", [](void*& block) { block = seen(std::realloc(block, 2 * walk_bytes)); }},
    {"free", [](void*& block) { std::free(seen(std::exchange(block, nullptr))); }},
    {"new", [](void*&) { ::operator delete(seen(::operator new(walk_bytes))); }},
    {"grow", [](void*&) { grow_in_walk(); }},
    // No allocation here: the cycle goes through a lock of the application, which the growing thread allocates under.
    {"lock3", [](void*&) { std::lock_guard<std::mutex> held(application_lock); }},
};

struct Walk {
    Shape run;
    void* block;
};

int callback(dl_phdr_info*, std::size_t, void* data) {
    auto& walk = *static_cast<Walk*>(data);
    walk.run(walk.block);
    return 1;  // one object is enough
}

void walk_once(Shape run) {
    Walk walk{run, std::malloc(walk_bytes)};
    dl_iterate_phdr(callback, &walk);
    std::free(walk.block);
}

const NamedShape* find_shape(const char* name) {
    for (const NamedShape& shape : shapes) {
        if (std::strcmp(shape.name, name) == 0) return &shape;
    }
    return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
    const NamedShape* shape = find_shape(argc > 1 ? argv[1] : "malloc");
    const std::size_t growths = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 8192;
    if (shape == nullptr || growths == 0) {
        std::fprintf(stderr, "usage: phdr_deadlock [malloc|calloc|realloc|free|new|grow|lock3] [growths]\n");
        return 2;
    }
    lock_while_growing = shape->run == find_shape("lock3")->run;

    std::atomic<std::size_t> walks = 0;
    std::atomic<bool> grown = false;
    std::thread walking([&] {
        // At least some walks after the heap has grown, so that a run that ends has done both.
        for (std::size_t after = 0; after < 16; after += grown ? 1 : 0) {
            walk_once(shape->run);
            ++walks;
        }
    });
    std::thread growing([&] {
        growth::Heap heap(growths);
        for (std::size_t done = 1; done <= growths; ++done) {
            std::unique_lock<std::mutex> held(application_lock, std::defer_lock);
            if (lock_while_growing) held.lock();
            heap.grow();
            growths_done = done;
            if (done % 1024 == 0) dprintf(STDOUT_FILENO, "%zu growths, %zu walks\n", done, walks.load());
        }
        grown = true;
    });
    growing.join();
    walking.join();
    std::printf("done: %s, %zu growths, %zu walks\n", shape->name, growths, walks.load());
    return 0;
}
