// SPDX-License-Identifier: Apache-2.0
// A profiler that collects symbols as soon as it is loaded: the constructor of a library walks the loaded objects and
// allocates in the callback, so the thread owns the load lock and the write lock.
#include <dlfcn.h>

#include "tests/preload/victims/scene.h"

int main() {
    scene::Growth growth;
    for (long round = 0; round < 200; ++round) {
        void* library = dlopen("libwalks_in_constructor.so", RTLD_NOW);
        scene::expect(library != nullptr, "libwalks_in_constructor.so can be loaded");
        dlclose(library);
        if (round % 50 == 0) scene::progress("loaded", round);
    }
}
