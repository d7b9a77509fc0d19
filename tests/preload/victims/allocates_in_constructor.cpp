// SPDX-License-Identifier: Apache-2.0
// The library of constructor_allocates.
#include <cstring>

#include "tests/preload/victims/scene.h"

extern "C" char* constructed;
char* constructed = [] {
    void* block = std::malloc(scene::large);
    std::memset(block, 'c', scene::large);
    return static_cast<char*>(block);
}();
