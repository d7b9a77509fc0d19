// SPDX-License-Identifier: Apache-2.0
// Grows the heap, where some allocators unwind, and allocates inside a walk: both edges of the deadlock, one after the
// other in one thread, so that it runs under every allocator and without protection.
#include <link.h>

#include <cstdlib>

#include "examples/phdr_deadlock/growth.h"

int main() {
    static growth::Heap heap(growth::sites);
    for (std::size_t i = 0; i < growth::sites; ++i) heap.grow();
    void* block = nullptr;
    dl_iterate_phdr(
        [](dl_phdr_info*, std::size_t, void* data) {
            *static_cast<void**>(data) = std::realloc(std::malloc(100), 200);
            return 1;
        },
        &block);
    std::free(block);
    return block == nullptr ? 1 : 0;
}
