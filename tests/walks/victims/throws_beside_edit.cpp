// SPDX-License-Identifier: Apache-2.0
// A throw through libunwind, with that library's own lock taken, while the owner of the loader's write lock has changed
// the list and waits for the thread that throws: as a sample does that interrupts a dlclose and wants libunwind's lock.
#include <stdexcept>

#include "tests/walks/victims/stage.h"

namespace {

constexpr int sites = 64;

// Each a call site of its own: libunwind remembers those that it has seen, and walks for the others.
template <int site>
[[gnu::noinline]] void throw_from() {
    if constexpr (site == 0) throw std::runtime_error("up");
    if constexpr (site > 0) throw_from<site - 1>();
    asm volatile("");  // no tail call
}

void throw_and_catch() {
    try {
        throw_from<sites>();
    } catch (const std::runtime_error&) {
        scene::progress("caught", 1);
    }
}

}  // namespace

int main() {
    scene::Semaphore changed, caught;
    std::thread editing([&] {
        scene::inside_walk([&] {
            stage::load("libwalks_plugin.so");  // the list is another, and no walk has seen it
            changed.release();
            caught.acquire();
        });
    });
    changed.acquire();
    throw_and_catch();
    caught.release();
    editing.join();
}
