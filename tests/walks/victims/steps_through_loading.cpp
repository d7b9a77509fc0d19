// SPDX-License-Identifier: Apache-2.0
// A stack trace at every instruction of a dlopen, of its dlclose, and of a dlopen that fails.
#include "tests/walks/victims/steps.h"

namespace {

const char* throwing = nullptr;

// As after an exception that has long arrived: a return address that it has left on the stack.
void take_beside_old_words(int, siginfo_t*, void*) {
    const char* volatile left_behind[] = {throwing + 1, throwing + 1};
    samples::take(0);
    static_cast<void>(left_behind[0]);
}

}  // namespace

int main(int argc, char** argv) {
    scene::expect(argc > 1, "there is an unwinder");
    samples::choose_unwinder(argv[1]);
    throwing = stage::find<const char>(RTLD_DEFAULT, "_Unwind_RaiseException");
    void* library = nullptr;
    // Oftener than the shim has slots: the memory of a new one may lie where the library was.
    for (int round = 0; round < 10; ++round) {
        library = stage::load("libwalks_plain_plugin.so");
        steps::through_returns_of_system_calls([&] { dlclose(library); });
        scene::expect(samples::taken > 0, "something is unmapped");
    }
    steps::through([&] { library = dlopen("libwalks_plain_plugin.so", RTLD_NOW); }, take_beside_old_words);
    scene::expect(library != nullptr, "the library is loaded");
    steps::through([&] { dlclose(library); });
    steps::through([&] { library = dlopen("libwalks_unresolved_plugin.so", RTLD_NOW); });
    scene::expect(library == nullptr, "what lacks a symbol is not loaded");
}
