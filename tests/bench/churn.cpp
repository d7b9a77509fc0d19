// SPDX-License-Identifier: Apache-2.0
// dlopen and dlclose of a library whose constructor makes a million blocks and whose destructor frees them.
//   churn LIBRARY TURNS
// Prints the least of so many turns, in ms of CPU time.
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tests/bench/clocks.h"

int main(int argc, char** argv) {
    using namespace unknot::bench;
    std::int64_t opened = INT64_MAX;
    std::int64_t closed = INT64_MAX;
    for (int turns = argc > 2 ? std::atoi(argv[2]) : 1; turns > 0; --turns) {
        const std::int64_t start = process_cpu_ns();
        void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr) {
            std::fprintf(stderr, "churn: %s\n", dlerror());
            return 1;
        }
        const std::int64_t middle = process_cpu_ns();
        dlclose(library);
        opened = std::min(opened, middle - start);
        closed = std::min(closed, process_cpu_ns() - middle);
    }
    std::printf("open_ms=%.3f close_ms=%.3f both_ms=%.3f\n", static_cast<double>(opened) / 1e6,
                static_cast<double>(closed) / 1e6, static_cast<double>(opened + closed) / 1e6);
}
