// SPDX-License-Identifier: Apache-2.0
// Part of what is counted in a coverage build: the shim's own reports of corrupted memory end by abort, which would
// lose what gcov has counted.
#include <dlfcn.h>

#include <cstdlib>

extern "C" void __gcov_dump();

extern "C" [[gnu::visibility("default"), noreturn]] void abort() {
    __gcov_dump();
    reinterpret_cast<void (*)()>(dlsym(RTLD_NEXT, "abort"))();
    __builtin_trap();
}
