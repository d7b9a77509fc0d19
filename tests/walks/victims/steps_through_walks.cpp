// SPDX-License-Identifier: Apache-2.0
// A stack trace at every instruction of walks: a program's and an unwinder's, while the shim's snapshot is exact and
// where it has to be taken anew. What the program's callback allocates after all that is still diverted.
#include "tests/walks/victims/steps.h"

namespace {

int see(dl_phdr_info*, std::size_t, void* data) {
    auto** block = static_cast<void**>(data);
    std::free(*block);
    *block = std::malloc(100);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    scene::expect(argc > 1, "there is an unwinder");
    samples::choose_unwinder(argv[1]);
    using Walk = int(int (*)(dl_phdr_info*, std::size_t, void*), void*);
    auto* walk_as_unwinder = stage::find<Walk>(stage::load("libunwind_witness.so"), "walk_as_unwinder");
    for (Walk* walk : {&dl_iterate_phdr, walk_as_unwinder}) {
        for (int round = 0; round < 2; ++round) {
            void* library = stage::load("libwalks_plain_plugin.so");
            void* block = std::malloc(100);
            steps::through([&] { walk(see, &block); });
            steps::through([&] { walk(see, &block); });
            std::free(block);
            dlclose(library);
        }
    }
}
