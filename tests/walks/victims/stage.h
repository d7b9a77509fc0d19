// SPDX-License-Identifier: Apache-2.0
// What the victims of the walk tests share beyond the scenery of tests/preload: somebody who holds the loader lock.
#pragma once

#include <dlfcn.h>

#include "tests/preload/victims/scene.h"

namespace stage {

// A thread that owns the loader's write lock from the end of the constructor until it is destroyed: whoever waits for
// the lock meanwhile, waits for ever. It sleeps, so that a hang shows.
class Holder {
  public:
    Holder() { holding_.acquire(); }
    ~Holder() {
        stop_.release();
        thread_.join();
    }

  private:
    scene::Semaphore holding_;
    scene::Semaphore stop_;
    std::thread thread_{[this] {
        scene::inside_walk([this] {
            holding_.release();
            stop_.acquire();
        });
    }};
};

// A thread that is in and out of walks until it is destroyed, and lets others run while it is in.
class Visitor {
  public:
    ~Visitor() {
        stop_ = true;
        thread_.join();
    }

  private:
    std::atomic<bool> stop_ = false;
    std::thread thread_{[this] {
        while (!stop_) scene::inside_walk([] { std::this_thread::yield(); });
    }};
};

inline void* load(const char* name) {
    void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) dprintf(STDERR_FILENO, "%s\n", dlerror());
    scene::expect(library != nullptr, "the library can be loaded");
    return library;
}

template <class Function>
Function* find(void* library, const char* name) {
    auto* found = reinterpret_cast<Function*>(dlsym(library, name));
    scene::expect(found != nullptr, name);
    return found;
}

// Allocates from every call site, each time with a stack trace inside the allocator.
inline void grow_from_every_site() {
    growth::Heap heap(growth::sites);
    for (std::size_t block = 0; block < growth::sites; ++block) heap.grow();
}

}  // namespace stage
