// SPDX-License-Identifier: Apache-2.0
// An executable that defines malloc itself: what is preloaded is never asked.
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

namespace {
alignas(16) char memory[1 << 20];
std::size_t used = 0;
}  // namespace

extern "C" void* malloc(std::size_t size) {
    void* block = memory + used;
    used += (size + 15) & ~std::size_t{15};
    return used <= sizeof memory ? block : nullptr;
}
extern "C" void free(void*) {}

int main() {
    std::free(std::malloc(100));
    if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
    for (;;) pause();
}
