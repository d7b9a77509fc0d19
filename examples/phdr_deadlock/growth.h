// SPDX-License-Identifier: Apache-2.0
// Heap growth from many call sites: edge M -> L. An allocator that records a stack trace when its heap grows asks an
// unwinder, and the unwinder asks the loader (dl_iterate_phdr) about every return address that is not in its cache.
// libunwind caches 128 of them, so 512 call sites keep it asking for as long as the heap grows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

namespace growth {

inline constexpr std::size_t sites = 512;
inline constexpr std::size_t block_bytes = std::size_t{2} << 20;

// One call site. Naming its number in an empty asm keeps the compiler from folding the 512 into one function, and from
// turning the call into a jump that would leave no return address of this site on the stack.
template <std::size_t Site>
[[gnu::noinline]] void* allocate_at() {
    void* block = std::malloc(block_bytes);
    asm volatile("" : "+r"(block) : "i"(Site));
    return block;
}

template <std::size_t... Site>
constexpr std::array<void* (*)(), sizeof...(Site)> every(std::index_sequence<Site...>) {
    return {&allocate_at<Site>...};
}

inline constexpr auto allocate_from = every(std::make_index_sequence<sites>{});

// Holds every block it takes, because a heap that gets blocks back stops growing. Nobody touches the blocks: they cost
// address space, not memory.
class Heap {
  public:
    explicit Heap(std::size_t blocks) { held_.reserve(blocks); }
    ~Heap() {
        for (void* block : held_) std::free(block);
    }
    Heap(const Heap&) = delete;
    Heap& operator=(const Heap&) = delete;

    void grow() {
        void* block = allocate_from[held_.size() % sites]();
        if (block == nullptr) {
            std::fprintf(stderr, "no address space left after %zu blocks of 2 MiB: allow more (ulimit -v)\n",
                         held_.size());
            std::_Exit(2);
        }
        held_.push_back(block);
    }

  private:
    std::vector<void*> held_;
};

}  // namespace growth
