// SPDX-License-Identifier: Apache-2.0
// Loads and unloads a plug-in with RTLD_DEEPBIND, again and again. Usage: loads_deep PLUGIN
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char** argv) {
    for (int i = 0; argc > 1 && i < 10; ++i) {
        void* plugin = dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND);
        if (plugin == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        ((void (*)(void))dlsym(plugin, "use"))();
        dlclose(plugin);
    }
    puts("plug-in used");
    return 0;
}
