// SPDX-License-Identifier: Apache-2.0
// A plug-in with a RUNPATH of its own loads its neighbour by bare name. The loader searches the RUNPATH of whoever
// calls dlopen, so a shim that wraps dlopen breaks this (memray 212, heaptrack 48, VirtualGL 266).
#include <dlfcn.h>

#include "tests/preload/victims/scene.h"

int main(int, char** argv) {
    const std::string program = argv[0];
    const std::string plugin_path = program.substr(0, program.rfind('/')) + "/plugins/libplugin.so";
    scene::expect(dlopen("libneighbour.so", RTLD_NOW) == nullptr, "the program itself does not find the neighbour");
    void* plugin = dlopen(plugin_path.c_str(), RTLD_NOW);
    scene::expect(plugin != nullptr, "the plug-in can be loaded");
    const auto answer_of_neighbour = reinterpret_cast<int (*)()>(dlsym(plugin, "answer_of_neighbour"));
    scene::expect(answer_of_neighbour != nullptr && answer_of_neighbour() == 42, "the plug-in finds its neighbour");
    scene::progress("answer", 42);
}
