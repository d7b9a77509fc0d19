// SPDX-License-Identifier: Apache-2.0
// A profiler's parse: the symbol tables of every mapped library inside one dl_iterate_phdr callback, a name and a
// record for each symbol, all of it freed after the walk.
//   symbol_walk TURNS LIBRARY...      the libraries are loaded first; what cannot be loaded is left out
// Prints, in ms of CPU time, the first parse, which finds no memory at hand, as a profiler's only one does, the least
// of the later ones and of the frees after each; and how many symbols of how many libraries there were.
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "examples/jvm/symbols.h"
#include "tests/bench/clocks.h"

namespace {

struct Turn {
    double parse_ms = 0;
    double free_ms = 0;
    std::size_t symbols = 0;
    std::size_t libraries = 0;
};

Turn parse_and_free() {
    Turn turn;
    const std::int64_t start = unknot::bench::thread_cpu_ns();
    std::int64_t parsed = 0;
    {
        symbols::Symbols found;
        dl_iterate_phdr(symbols::collect, &found);
        parsed = unknot::bench::thread_cpu_ns();
        turn.symbols = found.found.all().size();
        turn.libraries = found.libraries;
    }
    turn.parse_ms = static_cast<double>(parsed - start) / 1e6;
    turn.free_ms = static_cast<double>(unknot::bench::thread_cpu_ns() - parsed) / 1e6;
    return turn;
}

}  // namespace

int main(int argc, char** argv) {
    for (int i = 2; i < argc; ++i) {
        if (dlopen(argv[i], RTLD_NOW | RTLD_GLOBAL) == nullptr) std::fprintf(stderr, "symbol_walk: %s\n", dlerror());
    }
    const Turn first = parse_and_free();
    Turn least = first;
    for (int turns = argc > 1 ? std::atoi(argv[1]) : 1; turns > 1; --turns) {
        const Turn turn = parse_and_free();
        least.parse_ms = std::min(least.parse_ms, turn.parse_ms);
        least.free_ms = std::min(least.free_ms, turn.free_ms);
    }
    std::printf("first_ms=%.3f again_ms=%.3f free_ms=%.3f symbols=%zu libraries=%zu\n", first.parse_ms, least.parse_ms,
                least.free_ms, first.symbols, first.libraries);
}
