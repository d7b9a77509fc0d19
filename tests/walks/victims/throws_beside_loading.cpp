// SPDX-License-Identifier: Apache-2.0
// Exceptions from many threads and from a library that is loaded and unloaded in between, beside walks that unwinders
// make inside the allocator: every one arrives where it is caught, with what it says.
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/walks/victims/stage.h"

namespace {

constexpr int per_thread = 1000;

[[gnu::noinline]] void throw_from_depth(int depth, int number) {
    if (depth == 0) throw std::runtime_error(std::to_string(number));
    throw_from_depth(depth - 1, number);
    asm volatile("");  // no tail call
}

template <class Throwing>
bool arrives(Throwing throwing, int number) {
    try {
        throwing(number);
    } catch (const std::runtime_error& error) {
        return error.what() == std::to_string(number);
    }
    return false;
}

}  // namespace

int main() {
    scene::Growth growth;
    stage::Visitor visitor;
    std::vector<std::thread> throwing;
    std::atomic<int> arrived = 0;
    for (int thread = 0; thread < 4; ++thread) {
        throwing.emplace_back([&] {
            for (int number = 0; number < per_thread; ++number) {
                arrived += arrives([](int n) { throw_from_depth(n % 20, n); }, number) ? 1 : 0;
            }
        });
    }
    for (int number = 0; number < 500; ++number) {
        void* plugin = stage::load("libwalks_plugin.so");
        arrived += arrives(stage::find<void(int)>(plugin, "throw_number"), number) ? 1 : 0;
        dlclose(plugin);
    }
    for (std::thread& thread : throwing) thread.join();
    scene::expect(arrived == 4 * per_thread + 500, "every exception arrives");
    scene::progress("arrived", arrived);
}
