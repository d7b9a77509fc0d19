// SPDX-License-Identifier: Apache-2.0
// Hangs as the reproducer does, through an allocator that came late and is not the program's malloc: a plug-in's
// tcmalloc, used by its own name.
//   late_allocator [growths]
#include <dlfcn.h>
#include <link.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

namespace {

using Allocate = void* (*)(std::size_t);
using Free = void (*)(void*);
Allocate late_malloc;
Free late_free;

// 512 call sites: libunwind caches 128 return addresses.
template <std::size_t Site>
[[gnu::noinline]] void* grow_at() {
    void* block = late_malloc(std::size_t{2} << 20);
    asm volatile("" : "+r"(block) : "i"(Site));
    return block;
}
template <std::size_t... Site>
constexpr std::array<void* (*)(), sizeof...(Site)> every(std::index_sequence<Site...>) {
    return {&grow_at<Site>...};
}
constexpr auto grow_from = every(std::make_index_sequence<512>{});

int allocate_in_walk(dl_phdr_info*, std::size_t, void*) {
    late_free(late_malloc(300'000));
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t growths = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 4096;
    void* plugin = dlopen("libtcmalloc.so.4", RTLD_NOW | RTLD_LOCAL);
    if (plugin == nullptr) return std::fprintf(stderr, "%s\n", dlerror()), 2;
    late_malloc = reinterpret_cast<Allocate>(dlsym(plugin, "tc_malloc"));
    late_free = reinterpret_cast<Free>(dlsym(plugin, "tc_free"));
    std::atomic<bool> grown{false};
    std::thread walking([&] {
        while (!grown) dl_iterate_phdr(allocate_in_walk, nullptr);
    });
    for (std::size_t i = 0; i < growths; ++i) {
        if (grow_from[i % grow_from.size()]() == nullptr) return 3;
    }
    grown = true;
    walking.join();
    std::puts("done");
    return 0;
}
