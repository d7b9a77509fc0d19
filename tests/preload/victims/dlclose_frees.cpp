// SPDX-License-Identifier: Apache-2.0
// gperftools issue 1159, first half: dlclose frees what it knew of a library under the loader's write lock, the thread
// cache overflows into the page heap, whose lock is held by a thread that takes a stack trace.
#include <dlfcn.h>

#include <cstdlib>
#include <thread>

#include "tests/preload/victims/scene.h"

int main() {
    scene::Growth growth;
    for (long round = 0; round < 20; ++round) {
        // A new thread has an empty cache with small limits, which the frees of 64 libraries overflow every time.
        std::thread([] {
            void* bundle = dlopen("libbundle.so", RTLD_NOW);
            scene::expect(bundle != nullptr, "libbundle.so can be loaded");
            const auto keep = reinterpret_cast<void (*)(void*)>(dlsym(bundle, "keep"));
            scene::expect(keep != nullptr, "libbundle.so keeps a block");
            keep(std::malloc(1000));
            dlclose(bundle);
        }).join();
        scene::progress("closed", round);
    }
}
