// SPDX-License-Identifier: Apache-2.0
// libunwind inside the allocator, while libraries come and go as fast as they can, also from under the stack that is
// traced: no crash, no hang.
#include "tests/walks/victims/stage.h"

int main() {
    scene::Growth growth;
    stage::Visitor visitor;
    std::atomic<bool> stop = false;
    std::thread loading([&] {
        while (!stop) {
            dlclose(stage::load("libwalks_plugin.so"));
            dlclose(stage::load("libwalks_second_plugin.so"));
        }
    });
    for (long round = 0; round < 30; ++round) {
        void* plugin = stage::load("libwalks_plugin.so");
        stage::find<void(void (*)())>(plugin, "pass_on")(stage::grow_from_every_site);
        dlclose(plugin);
        scene::progress("rounds", round + 1);
    }
    stop = true;
    loading.join();
}
