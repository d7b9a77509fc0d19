// SPDX-License-Identifier: Apache-2.0
// A library's constructor allocates while its thread owns the load lock and others grow the heap. No hang of its own on
// glibc >= 2.12, where stack traces need the write lock only; the blocks must be good, and live on after dlclose.
#include <dlfcn.h>

#include <vector>

#include "tests/preload/victims/scene.h"

int main() {
    scene::Growth growth;
    std::vector<char*> blocks;
    for (long round = 0; round < 200; ++round) {
        void* library = dlopen("liballocates_in_constructor.so", RTLD_NOW);
        scene::expect(library != nullptr, "liballocates_in_constructor.so can be loaded");
        blocks.push_back(*static_cast<char**>(dlsym(library, "constructed")));
        dlclose(library);
    }
    for (char* block : blocks) {
        for (std::size_t i = 0; i < scene::large; ++i) scene::expect(block[i] == 'c', "a block outlives its library");
        std::free(block);
    }
    scene::progress("loaded", 200);
}
