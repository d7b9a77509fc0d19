// SPDX-License-Identifier: Apache-2.0
// Blocks of every kind of allocation made inside a walk are grown, measured and freed outside it, by another thread,
// and the other way round. None of them may reach an allocator that did not make it.
#include <malloc.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "tests/preload/victims/scene.h"

namespace {

std::vector<void*> one_of_every_kind() {
    void* by_pointer = nullptr;
    scene::expect(posix_memalign(&by_pointer, 128, 700) == 0, "posix_memalign works");
    std::vector<void*> blocks = {std::malloc(700),
                                 std::calloc(7, 100),
                                 std::realloc(nullptr, 700),
                                 reallocarray(nullptr, 7, 100),
                                 aligned_alloc(64, 704),
                                 memalign(4096, 700),
                                 by_pointer,
                                 std::malloc(scene::large)};
    for (void* block : blocks) {
        scene::expect(block != nullptr && malloc_usable_size(block) >= 700, "every kind gives a block");
        std::memset(block, 'b', 700);
    }
    return blocks;
}

void grow_and_free(std::vector<void*>& blocks) {
    for (void* block : blocks) {
        char* grown = static_cast<char*>(std::realloc(block, scene::large));
        scene::expect(grown != nullptr && grown[0] == 'b' && grown[699] == 'b', "realloc keeps the content");
        std::free(grown);
    }
}

}  // namespace

int main() {
    scene::Growth growth;
    for (long round = 0; round < 100; ++round) {
        std::vector<void*> inside;
        scene::inside_walk([&] { inside = one_of_every_kind(); });
        std::thread([&] { grow_and_free(inside); }).join();

        std::vector<void*> outside = one_of_every_kind();
        std::thread([&] { scene::inside_walk([&] { grow_and_free(outside); }); }).join();
    }
    scene::progress("rounds", 100);
}
