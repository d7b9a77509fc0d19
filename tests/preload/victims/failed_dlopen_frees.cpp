// SPDX-License-Identifier: Apache-2.0
// gperftools issue 1159, second half: a dlopen that fails late, here for want of the last of many needed libraries,
// frees what it had loaded under the loader's write lock.
#include <dlfcn.h>

#include <cstring>
#include <thread>

#include "tests/preload/victims/scene.h"

int main() {
    scene::Growth growth;
    for (long round = 0; round < 20; ++round) {
        std::thread([] {
            scene::expect(dlopen("libbroken_bundle.so", RTLD_NOW) == nullptr, "libbroken_bundle.so cannot be loaded");
            const char* why = dlerror();
            scene::expect(why != nullptr && std::strstr(why, "libabsent.so") != nullptr, "dlerror names libabsent.so");
        }).join();
        scene::progress("failed", round);
    }
}
