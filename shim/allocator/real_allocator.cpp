// SPDX-License-Identifier: Apache-2.0
#include "shim/allocator/real_allocator.h"

#include <dlfcn.h>
#include <link.h>

#include <atomic>
#include <initializer_list>

#include "policy/settings.h"
#include "shim/allocator/stand_ins.h"
#include "shim/system/libc.h"

namespace unknot {

constinit RealAllocator real_allocator{
#define UNKNOT_ALLOCATION(id, ...) .id = stand_in::id,
#define UNKNOT_ALLOCATION_INTO(id, ...) .id = stand_in::id,
#define UNKNOT_REALLOCATION(id, ...) .id = stand_in::id,
#define UNKNOT_DEALLOCATION(id, ...) .id = stand_in::id,
#define UNKNOT_QUERY(id, ...) .id = stand_in::id,
#include "shim/allocator/entry_points.inc"
    .dl_iterate_phdr = stand_in::dl_iterate_phdr,
};

namespace {

constinit std::atomic<bool> resolved{false};

// libc's own range of addresses.
struct LibcImage {
    std::uintptr_t start = 0;
    std::size_t bytes = 0;

    static LibcImage find() {
        const dl_phdr_info libc = libc_object();
        LibcImage image{.start = libc.dlpi_addr};
        for (unsigned i = 0; i < libc.dlpi_phnum; ++i) {
            const ElfW(Phdr)& segment = libc.dlpi_phdr[i];
            const std::size_t end = segment.p_vaddr + segment.p_memsz;
            if (segment.p_type == PT_LOAD && end > image.bytes) image.bytes = end;
        }
        return image;
    }
    bool contains(const void* p) const { return reinterpret_cast<std::uintptr_t>(p) - start < bytes; }
};

template <class Function>
void fill(Function*& slot, const void* function) {
    // Relaxed: other threads may be filling the same slot with the same value.
    __atomic_store_n(&slot, reinterpret_cast<Function*>(const_cast<void*>(function)), __ATOMIC_RELAXED);
}

template <class Function>
const void* address(Function* function) {
    return reinterpret_cast<const void*>(function);
}

// What the stand-ins stand on.
bool is_primitive(const char* symbol) {
    for (const char* row : {"malloc", "free", "calloc", "realloc", "posix_memalign", "malloc_usable_size"}) {
        if (same(symbol, row)) return true;
    }
    return false;
}

// One filling of the table with what comes after the shim.
class LookUp {
  public:
    // libc's function does where there is no better: for the primitives, and where the allocator is libc's.
    template <class Function>
    void operator()(Function*& slot, Function*, const char* symbol) const {
        void* found = dlsym(RTLD_NEXT, symbol);
        if (found == nullptr) return;
        if (libc_.contains(found) && !is_primitive(symbol) && !libc_.contains(address(real_allocator.malloc))) return;
        fill(slot, found);
    }

    bool is_libcs(const void* function) const { return libc_.contains(function); }

  private:
    LibcImage libc_ = LibcImage::find();
};

// One filling of the table with what comes before it.
class Adoption {
  public:
    template <class Function>
    void operator()(Function*& slot, Function* stand_in, const char* symbol) const {
        const void* found = dlsym(RTLD_DEFAULT, symbol);
        if (found != nullptr && is_defined_elsewhere(found)) return fill(slot, found);
        // libc's function on blocks that are not libc's would be worse than a stand-in.
        if (libc_.contains(address(slot)) && !is_primitive(symbol)) fill(slot, address(stand_in));
    }

  private:
    // The PLT of a position-dependent executable bears the names of functions that it only calls: one of those might
    // lead back to us.
    bool is_defined_elsewhere(const void* function) const {
        Dl_info about{};
        const ElfW(Sym)* entry = symbol_at(function, about);
        return entry != nullptr && about.dli_fbase != own_base_ && entry->st_shndx != SHN_UNDEF;
    }

    static const void* own_base() {
        Dl_info about{};
        dladdr(&real_allocator, &about);
        return about.dli_fbase;
    }

    const void* own_base_ = own_base();
    LibcImage libc_ = LibcImage::find();
};

template <class Step>
void for_every_row(const Step& step) {
#define UNKNOT_ALLOCATION(id, symbol, ...) step(real_allocator.id, &stand_in::id, symbol);
#define UNKNOT_ALLOCATION_INTO(id, symbol) step(real_allocator.id, &stand_in::id, symbol);
#define UNKNOT_REALLOCATION(id, symbol, ...) step(real_allocator.id, &stand_in::id, symbol);
#define UNKNOT_DEALLOCATION(id, symbol, ...) step(real_allocator.id, &stand_in::id, symbol);
#define UNKNOT_QUERY(id, symbol) step(real_allocator.id, &stand_in::id, symbol);
#include "shim/allocator/entry_points.inc"
}

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

void adopt_program_allocator() {
    const Adoption adopt;
    adopt(real_allocator.dl_iterate_phdr, &stand_in::dl_iterate_phdr, "dl_iterate_phdr");
    for_every_row(adopt);
}

void resolve_real_allocator() {
    if (const void* walk = dlsym(RTLD_NEXT, "dl_iterate_phdr")) fill(real_allocator.dl_iterate_phdr, walk);
    const LookUp look_up;
    look_up(real_allocator.malloc, &stand_in::malloc, "malloc");
    look_up(real_allocator.free, &stand_in::free, "free");
    // Its first block makes the heap grow, with a stack trace: better from here than from inside a look-up that fails,
    // under the loader's lock, where the unwinder reads its way through 180 kB of libc's and ld.so's tables.
    if (real_allocator.malloc != &stand_in::malloc) real_allocator.free(real_allocator.malloc(1));
    for_every_row(look_up);
    // The shim comes last of all: somebody's dependency, or the last word of LD_PRELOAD's libraries.
    if (!knows_real_allocator()) adopt_program_allocator();
    knows_block_sizes.store(look_up.is_libcs(address(real_allocator.malloc)) ==
                                look_up.is_libcs(address(real_allocator.malloc_usable_size)),
                            std::memory_order_relaxed);
    resolved.store(true, std::memory_order_release);
}

}  // namespace unknot
