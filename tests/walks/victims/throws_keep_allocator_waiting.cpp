// SPDX-License-Identifier: Apache-2.0
// lock3 with a third thread. The walker owns L and wants the application's lock; its holder allocates and waits for
// libunwind's cache mutex; the owner of that throws through libunwind, and must not wait for L.
#include <mutex>
#include <stdexcept>

#include "tests/walks/victims/stage.h"

namespace {

std::mutex application_lock;

[[gnu::noinline]] void throw_at(int depth) {
    if (depth == 0) throw std::runtime_error("up");
    throw_at(depth - 1);
    asm volatile("");
}

}  // namespace

int main() {
    std::atomic<bool> stop = false;
    std::thread walking([&] {
        while (!stop) scene::inside_walk([] { std::lock_guard held(application_lock); });
    });
    std::thread throwing([&] {
        for (int depth = 0; !stop; depth = (depth + 1) % 50) {
            try {
                throw_at(depth);
            } catch (const std::runtime_error&) {
            }
        }
    });
    growth::Heap heap(8192);
    for (int growths = 1; growths <= 8192; ++growths) {
        std::lock_guard held(application_lock);
        heap.grow();
        if (growths % 1024 == 0) scene::progress("growths", growths);
    }
    stop = true;
    walking.join();
    throwing.join();
}
