// SPDX-License-Identifier: Apache-2.0
// An unwinder that a plug-in brings long after the start, and brings again somewhere else: its walks do not wait while
// another thread holds the loader lock.
#include "tests/walks/victims/stage.h"

int main() {
    for (long round = 1; round <= 20; ++round) {
        void* plugin = stage::load("libwalks_unwinding_plugin.so");
        {
            stage::Holder holder;
            scene::expect(stage::find<int()>(plugin, "frames")() > 1, "the unwinder finds more than one frame");
        }
        dlclose(plugin);
        // Takes up the place, so that the next one lies elsewhere.
        stage::load(round % 2 == 0 ? "libwalks_plugin.so" : "libwalks_second_plugin.so");
        scene::progress("loaded", round);
    }
}
