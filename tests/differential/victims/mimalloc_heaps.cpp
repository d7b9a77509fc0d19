// SPDX-License-Identifier: Apache-2.0
// mimalloc's heaps of the program's own, filled in walks: destroying one releases its blocks, deleting one keeps them.
//   mimalloc_heaps destroy|delete
#include "tests/differential/stage.h"

extern "C" {
[[gnu::weak]] void* mi_heap_new();
[[gnu::weak]] void* mi_heap_malloc(void* heap, std::size_t size);
[[gnu::weak]] void mi_heap_destroy(void* heap);
[[gnu::weak]] void mi_heap_delete(void* heap);
}

int main(int, char** argv) {
    const bool destroys = argv[1] == std::string_view("destroy");
    for (int round = 0; round < 50; ++round) {
        void* heap = mi_heap_new();
        static char* blocks[1000];
        stage::inside_walk([heap] {
            for (char*& block : blocks) {
                block = static_cast<char*>(mi_heap_malloc(heap, 1000));
                std::memset(block, 1, 1000);
            }
        });
        if (destroys) {
            mi_heap_destroy(heap);
            continue;
        }
        mi_heap_delete(heap);
        for (char* block : blocks) {
            stage::expect(block[999] == 1, "a block outlives its deleted heap");
            std::free(block);
        }
    }
    std::puts("released");
    return 0;
}
