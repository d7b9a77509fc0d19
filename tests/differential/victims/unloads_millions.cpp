// SPDX-License-Identifier: Apache-2.0
// dlclose of a library that holds 1.5 million blocks and frees them in its destructor: freeing costs no memory, nor do
// the same blocks, twice.
//   unloads_millions SIZE
#include "tests/differential/stage.h"

int main(int, char** argv) {
    for (int i = 0; i < 2; ++i) {
        void* library = dlopen("holds_millions.so", RTLD_NOW);
        stage::expect(library != nullptr, "the library is loaded");
        reinterpret_cast<void (*)(std::size_t)>(dlsym(library, "fill"))(std::strtoul(argv[1], nullptr, 10));
        dlclose(library);
        stage::allocate_and_free(24);
    }
    std::puts("unloaded");
    return 0;
}
