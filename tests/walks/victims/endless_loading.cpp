// SPDX-License-Identifier: Apache-2.0
// Libraries that come and go for ever, each time seen by a walk and so copied to a snapshot: memory does not grow.
#include <fstream>

#include "tests/walks/victims/stage.h"

namespace {

struct Pages {
    long size = 0;
    long resident = 0;
};

Pages pages() {
    Pages now;
    std::ifstream("/proc/self/statm") >> now.size >> now.resident;
    return now;
}

void load_and_unload(int rounds) {
    for (int round = 0; round < rounds; ++round) {
        void* plugin = stage::load("libwalks_plugin.so");
        scene::inside_walk([] {});
        dlclose(plugin);
        scene::inside_walk([] {});
    }
}

}  // namespace

int main() {
    load_and_unload(500);
    const Pages before = pages();
    load_and_unload(10'000);
    const Pages after = pages();
    scene::progress("more pages of address space", after.size - before.size);
    scene::progress("more pages of memory", after.resident - before.resident);
    // One snapshot of this program takes two pages.
    scene::expect(after.size - before.size < 256 && after.resident - before.resident < 256, "memory does not grow");
}
