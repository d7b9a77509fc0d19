// SPDX-License-Identifier: Apache-2.0
// Blocks go both ways between the program and a plug-in that is loaded with RTLD_DEEPBIND. Not in walks: what is
// allocated there must not be freed past the shim (docs/limits.md).
#include "tests/differential/stage.h"

int main() {
    for (int i = 0; i < 20; ++i) {
        void* plugin = dlopen("deep_plugin.so", RTLD_NOW | RTLD_DEEPBIND);
        stage::expect(plugin != nullptr, "the plug-in is loaded");
        auto* use = reinterpret_cast<void (*)()>(dlsym(plugin, "use_plugin"));
        auto* make = reinterpret_cast<char* (*)(std::size_t)>(dlsym(plugin, "make_for_program"));
        auto* copy = reinterpret_cast<char* (*)(const char*)>(dlsym(plugin, "copy_for_program"));
        auto* take = reinterpret_cast<void (*)(char*)>(dlsym(plugin, "take_from_program"));
        use();
        std::free(make(100));
        std::free(copy("a text"));
        take(static_cast<char*>(stage::seen(std::malloc(50))));
        take(strdup("another text"));
        stage::inside_walk([=] { std::free(make(100)); });
        dlclose(plugin);
    }
    std::puts("used");
    return 0;
}
