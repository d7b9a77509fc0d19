// SPDX-License-Identifier: Apache-2.0
// A stack trace at every instruction of a dlopen, of its dlclose, and of a dlopen that fails.
#include "tests/walks/victims/steps.h"

int main(int argc, char** argv) {
    scene::expect(argc > 1, "there is an unwinder");
    samples::choose_unwinder(argv[1]);
    void* library = nullptr;
    // Oftener than the shim has slots: the memory of a new one may lie where the library was.
    for (int round = 0; round < 10; ++round) {
        library = stage::load("libwalks_plain_plugin.so");
        steps::through_returns_of_system_calls([&] { dlclose(library); });
        scene::expect(samples::taken > 0, "something is unmapped");
    }
    steps::through([&] { library = dlopen("libwalks_plain_plugin.so", RTLD_NOW); });
    scene::expect(library != nullptr, "the library is loaded");
    steps::through([&] { dlclose(library); });
    steps::through([&] { library = dlopen("libwalks_unresolved_plugin.so", RTLD_NOW); });
    scene::expect(library == nullptr, "what lacks a symbol is not loaded");
}
