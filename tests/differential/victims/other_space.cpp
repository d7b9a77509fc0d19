// SPDX-License-Identifier: Apache-2.0
// Libraries in a name space of their own (dlmopen): another libc, another allocator, the same loader lock.
#include "tests/differential/stage.h"

int main() {
    stage::warm_up();
    {
        const stage::Bystander walks([] { stage::work("walk_allocating"); });
        for (int i = 0; i < 30; ++i) {
            void* plugin = dlmopen(LM_ID_NEWLM, "deep_plugin.so", RTLD_NOW);
            if (plugin == nullptr) dprintf(STDERR_FILENO, "%s\n", dlerror());
            stage::expect(plugin != nullptr, "the plug-in is loaded into a name space of its own");
            auto* use = reinterpret_cast<void (*)()>(dlsym(plugin, "use_plugin"));
            auto* make = reinterpret_cast<char* (*)(std::size_t)>(dlsym(plugin, "make_for_program"));
            auto* take = reinterpret_cast<void (*)(char*)>(dlsym(plugin, "take_from_program"));
            use();
            take(make(100));
            stage::inside_walk([=] { take(make(100)); });
            dlclose(plugin);
            ++stage::steps();
        }
    }
    std::puts("used");
    return 0;
}
