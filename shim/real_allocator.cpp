// SPDX-License-Identifier: Apache-2.0
#include "shim/real_allocator.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <link.h>

#include <atomic>

#include "policy/settings.h"
#include "shim/stand_ins.h"

namespace unknot {

constinit RealAllocator real_allocator{
#define UNKNOT_ALLOCATION(id, ...) .id = stand_in::id,
#define UNKNOT_ALLOCATION_INTO(id, ...) .id = stand_in::id,
#define UNKNOT_REALLOCATION(id, ...) .id = stand_in::id,
#define UNKNOT_DEALLOCATION(id, ...) .id = stand_in::id,
#define UNKNOT_QUERY(id, ...) .id = stand_in::id,
#include "shim/entry_points.inc"
    .dl_iterate_phdr = stand_in::dl_iterate_phdr,
};

namespace {

constinit std::atomic<bool> resolved{false};

// libc's own range of addresses, from the program headers behind its ELF header.
struct LibcImage {
    std::uintptr_t start = 0;
    std::size_t bytes = 0;

    static LibcImage find() {
        Dl_info about{};
        if (dladdr(reinterpret_cast<const void*>(&gnu_get_libc_version), &about) == 0) return {};
        const auto* header = static_cast<const ElfW(Ehdr)*>(about.dli_fbase);
        const auto start = reinterpret_cast<std::uintptr_t>(header);
        const auto* segments = reinterpret_cast<const ElfW(Phdr)*>(start + header->e_phoff);
        LibcImage image{.start = start};
        for (unsigned i = 0; i < header->e_phnum; ++i) {
            const std::size_t end = segments[i].p_vaddr + segments[i].p_memsz;
            if (segments[i].p_type == PT_LOAD && end > image.bytes) image.bytes = end;
        }
        return image;
    }
    bool contains(const void* p) const { return reinterpret_cast<std::uintptr_t>(p) - start < bytes; }
};

// One filling of the table.
class LookUp {
  public:
    // libc's function does where there is no better: for what the stand-ins stand on, and where the allocator is
    // libc's.
    template <class Function>
    void operator()(Function*& slot, const char* symbol) const {
        void* found = dlsym(RTLD_NEXT, symbol);
        if (found == nullptr || (libc_.contains(found) && !may_be_libcs(symbol))) return;
        // Other threads may be filling the same slot with the same value.
        __atomic_store_n(&slot, reinterpret_cast<Function*>(found), __ATOMIC_RELAXED);
    }

    bool is_libcs(const void* function) const { return libc_.contains(function); }

  private:
    bool may_be_libcs(const char* symbol) const {
        for (const char* row : {"malloc", "free", "calloc", "realloc", "posix_memalign", "malloc_usable_size"}) {
            if (same(symbol, row)) return true;
        }
        return libc_.contains(reinterpret_cast<const void*>(real_allocator.malloc));
    }

    LibcImage libc_ = LibcImage::find();
};

// malloc_usable_size belongs to the allocator that malloc belongs to. (heaptrack's preload has none of its own, and
// libc's answers rightly for its blocks; libmemusage.so has none either, and for its blocks libc's answer is noise.)
constinit std::atomic<bool> knows_block_sizes{false};

}  // namespace

// Acquire pairs with the release in resolve_real_allocator: the table is visible.
bool is_resolved() {
    return resolved.load(std::memory_order_acquire);
}

// Relaxed: a stale answer sends one more call to the arena.
bool knows_real_allocator() {
    return __atomic_load_n(&real_allocator.realloc, __ATOMIC_RELAXED) != &stand_in::realloc;
}

// Relaxed: whoever asks has seen the table filled, or takes "cannot say" for an answer.
std::size_t real_block_size(void* block) {
    return knows_block_sizes.load(std::memory_order_relaxed) ? real_allocator.malloc_usable_size(block) : 0;
}

void resolve_real_allocator() {
    // First: the real allocator may unwind as soon as it is reached, from inside the look-ups below.
    if (auto* walk = reinterpret_cast<int (*)(int (*)(dl_phdr_info*, std::size_t, void*), void*)>(
            dlsym(RTLD_NEXT, "dl_iterate_phdr"))) {
        __atomic_store_n(&real_allocator.dl_iterate_phdr, walk, __ATOMIC_RELAXED);
    }
    const LookUp look_up;
#define UNKNOT_ALLOCATION(id, symbol, ...) look_up(real_allocator.id, symbol);
#define UNKNOT_ALLOCATION_INTO(id, symbol) look_up(real_allocator.id, symbol);
#define UNKNOT_REALLOCATION(id, symbol, ...) look_up(real_allocator.id, symbol);
#define UNKNOT_DEALLOCATION(id, symbol, ...) look_up(real_allocator.id, symbol);
#define UNKNOT_QUERY(id, symbol) look_up(real_allocator.id, symbol);
#include "shim/entry_points.inc"
    const auto* malloc_ = reinterpret_cast<const void*>(real_allocator.malloc);
    const auto* usable_size_ = reinterpret_cast<const void*>(real_allocator.malloc_usable_size);
    knows_block_sizes.store(look_up.is_libcs(malloc_) == look_up.is_libcs(usable_size_), std::memory_order_relaxed);
    resolved.store(true, std::memory_order_release);
}

}  // namespace unknot
