// SPDX-License-Identifier: Apache-2.0
// A library whose constructor makes a million blocks and whose destructor frees them.
#include <cstddef>
#include <cstdlib>

namespace {

constexpr std::size_t count = 1'000'000;
void* blocks[count];

[[gnu::constructor]] void make() {
    for (std::size_t i = 0; i < count; ++i) blocks[i] = std::malloc(16 + i % 240);
}

[[gnu::destructor]] void free_all() {
    for (void* block : blocks) std::free(block);
}

}  // namespace
