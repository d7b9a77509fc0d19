// SPDX-License-Identifier: Apache-2.0
// What promises zeroes gives zeroes, in a walk, on memory that others have used: also where a block of zeroes grows
// through the allocator's own zeroing doors.
//   zeroes calloc|mimalloc|jemalloc
#include "tests/differential/stage.h"

namespace {

void* resize_zeroing(std::string_view vendor, void* block, std::size_t size) {
    if (vendor == "mimalloc") {
        static auto* resize = reinterpret_cast<void* (*)(void*, std::size_t)>(dlsym(RTLD_DEFAULT, "mi_rezalloc"));
        return resize(block, size);
    }
    static auto* resize = reinterpret_cast<void* (*)(void*, std::size_t, int)>(dlsym(RTLD_DEFAULT, "rallocx"));
    return resize(block, size, 0x40);  // MALLOCX_ZERO
}

int not_zero(const unsigned char* bytes, std::size_t from, std::size_t to) {
    int count = 0;
    for (std::size_t at = from; at < to; ++at) count += bytes[at] != 0;
    return count;
}

void soil(std::size_t size) {
    void* block = stage::seen(std::malloc(size));
    std::memset(block, 0xee, size);
    std::free(block);
}

}  // namespace

int main(int, char** argv) {
    const std::string_view how = argv[1];
    // Looked up before any walk.
    if (how != "calloc") std::free(resize_zeroing(how, std::calloc(1, 1), 2));
    static int bad;
    stage::inside_walk([how] {
        for (std::size_t size = 1; size < 3000; size += 1 + size / 3) {
            for (std::size_t larger : {size + 1, size + 15, 2 * size, 3 * size + 40, 10 * size, size + 100'000}) {
                soil(larger + 16);
                soil(size + 16);
                auto* block = static_cast<unsigned char*>(std::calloc(1, size));
                bad += not_zero(block, 0, size);
                if (how != "calloc") {
                    block = static_cast<unsigned char*>(resize_zeroing(how, block, larger));
                    bad += not_zero(block, 0, larger);
                    std::memset(block, 0xee, larger);
                }
                std::free(block);
            }
        }
    });
    std::printf("%d bytes are not zero\n", bad);
    return bad != 0;
}
