// SPDX-License-Identifier: Apache-2.0
// jemalloc's arenas of the program's own, filled in walks: a reset or a destruction releases what they hold.
//   jemalloc_arenas reset|destroy
#include "tests/differential/stage.h"

extern "C" {
[[gnu::weak]] int mallctl(const char* name, void* old, std::size_t* old_size, void* given, std::size_t size);
[[gnu::weak]] void* mallocx(std::size_t size, int flags);
}

int main(int, char** argv) {
    for (int round = 0; round < 50; ++round) {
        unsigned arena = 0;
        std::size_t size = sizeof arena;
        stage::expect(mallctl("arenas.create", &arena, &size, nullptr, 0) == 0, "an arena is made");
        // MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE
        const int flags = static_cast<int>((arena + 1) << 20) | 1 << 8;
        stage::inside_walk([flags] {
            for (int i = 0; i < 1000; ++i) std::memset(mallocx(1000, flags), 1, 1000);
        });
        char name[64];
        std::snprintf(name, sizeof name, "arena.%u.%s", arena, argv[1]);
        stage::expect(mallctl(name, nullptr, nullptr, nullptr, 0) == 0, "it is emptied");
    }
    std::puts("released");
    return 0;
}
