// SPDX-License-Identifier: Apache-2.0
// The library of c_loads_cpp: every form of operator new, outside and inside a walk, and every way it may fail.
#include <cstdint>
#include <cstring>
#include <new>

#include "tests/preload/victims/scene.h"

namespace {

// More than any address space has; volatile, so that the compiler does not see it coming.
volatile std::size_t too_much = SIZE_MAX / 2;
int calls_of_new_handler = 0;

// 64, because Debian's mimalloc 2.0.9 gives less than 256 when asked for 256.
struct alignas(64) Overaligned {
    char bytes[1000];
};

bool aligned(const void* block) {
    return reinterpret_cast<std::uintptr_t>(block) % 64 == 0;
}

const char* allocate_everything() {
    int* one = scene::seen(new int(7));
    int* many = scene::seen(new int[1000]());
    int* quiet = scene::seen(new (std::nothrow) int(8));
    auto* over = scene::seen(new Overaligned);
    auto* overs = scene::seen(new Overaligned[3]);
    const bool good = *one == 7 && many[999] == 0 && *quiet == 8 && aligned(over) && aligned(overs);
    delete one;
    delete[] many;
    delete quiet;
    delete over;
    delete[] overs;
    return good ? nullptr : "operator new gives good blocks";
}

const char* fail_in_every_way() {
    if (::operator new(too_much, std::nothrow) != nullptr) return "nothrow new returns null";
    try {
        scene::seen(::operator new(too_much));
        return "new throws";
    } catch (const std::bad_alloc&) {
    }
    try {
        scene::seen(::operator new[](too_much, std::align_val_t{64}));
        return "aligned new[] throws";
    } catch (const std::bad_alloc&) {
    }
    calls_of_new_handler = 0;
    std::set_new_handler([] {
        if (++calls_of_new_handler == 3) std::set_new_handler(nullptr);
    });
    try {
        scene::seen(::operator new(too_much));
        return "new throws after the new-handler";
    } catch (const std::bad_alloc&) {
    }
    return calls_of_new_handler == 3 ? nullptr : "new calls the new-handler until there is none";
}

}  // namespace

extern "C" const char* use_operators(bool failing) {
    const auto use = [failing] {
        const char* broken = allocate_everything();
        return broken == nullptr && failing ? fail_in_every_way() : broken;
    };
    const char* broken = use();
    // Blocks that cross the border of a walk, both ways.
    int* from_outside = scene::seen(new int[1000]);
    int* from_inside = nullptr;
    scene::inside_walk([&] {
        if (broken == nullptr) broken = use();
        delete[] from_outside;
        from_inside = scene::seen(new int[1000]);
    });
    delete[] from_inside;
    return broken;
}
