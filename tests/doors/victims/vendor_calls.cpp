// SPDX-License-Identifier: Apache-2.0
// What the vendor's other functions say about an arena block and an ordinary one: sizes, owners, growth in place.
//   vendor_calls <where>
#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/doors/contexts.h"
#include "tests/doors/rows.h"

using namespace doors;

namespace {

constexpr std::size_t size = 100;
volatile std::size_t too_much = SIZE_MAX - 4096;

bool reads(const void* block, std::size_t from, std::size_t to, unsigned char pattern) {
    const auto* bytes = static_cast<const unsigned char*>(block);
    return std::all_of(bytes + from, bytes + to, [&](unsigned char byte) { return byte == pattern; });
}

void size_function(const char* name, const void* block) {
    auto* function = found<std::size_t(const void*)>(name);
    if (function != nullptr) expect(function(block) >= size, name, "knows the room of every block");
    if (function != nullptr) expect(function(nullptr) == 0, name, "is 0 for NULL");
}

void jemalloc(void* block, bool is_arena_block) {
    auto* sallocx = found<std::size_t(const void*, int)>("sallocx");
    auto* xallocx = found<std::size_t(void*, std::size_t, std::size_t, int)>("xallocx");
    auto* rallocx = found<void*(void*, std::size_t, int)>("rallocx");
    auto* mallocx = found<void*(std::size_t, int)>("mallocx");
    auto* nallocx = found<std::size_t(std::size_t, int)>("nallocx");
    auto* dallocx = found<void(void*, int)>("dallocx");
    constexpr int zero = 0x40;
    expect(sallocx(block, 0) >= size, "sallocx", "knows the room of every block");
    const std::size_t room = xallocx(block, size, 1000, zero);
    expect(room >= size && room == sallocx(block, 0), "xallocx", "gives the room there is");
    if (is_arena_block) expect(xallocx(block, 10, 0, 0) >= 10, "xallocx", "shrinks");
    for (const std::size_t wanted : {1, 20, 33, 1000, 5000, 70'000}) {
        void* const fresh = mallocx(wanted, zero);
        const std::size_t promised = nallocx(wanted, 0);
        expect(promised >= wanted && sallocx(fresh, 0) >= promised, "nallocx", "promises what mallocx gives", wanted);
        expect(reads(fresh, 0, wanted, 0), "mallocx", "zeroes when asked to", wanted);
        std::memset(fresh, 0x5a, promised);
        dallocx(fresh, 0);
    }
    // The promise outlives the context in which it was made.
    std::size_t promised = 0;
    run_in(Context::other_thread, [&] { promised = nallocx(1000, 0); });
    void* const fresh = mallocx(1000, 0);
    expect(sallocx(fresh, 0) >= promised, "mallocx", "keeps what nallocx promised elsewhere");
    void* const grown = rallocx(fresh, 100'000, zero | 12);
    expect(reinterpret_cast<std::uintptr_t>(grown) % 4096 == 0, "rallocx", "aligns");
    expect(reads(grown, sallocx(grown, 0) < 100'000 ? 0 : 1100 + promised, 100'000, 0), "rallocx", "zeroes the growth");
    dallocx(grown, 12);
}

void tcmalloc(void* block) {
    constexpr int is_owned = 1;
    auto* owner_of = found<int(const void*)>("MallocExtension_GetOwnership");
    expect(owner_of(block) == is_owned, "MallocExtension_GetOwnership", "owns every block of malloc");
    int on_the_stack = 0;
    expect(owner_of(&on_the_stack) != is_owned, "MallocExtension_GetOwnership", "owns nothing else");
    auto* nallocx = found<std::size_t(std::size_t, int)>("nallocx");
    // tcmalloc_debug's malloc gives not one byte more than was asked for, whatever its nallocx promises.
    const bool is_debug = is_protected() && statistics()->allocator == unknot::AllocatorKind::tcmalloc_debug;
    for (const std::size_t wanted : {1, 20, 33, 1000, 5000, 70'000}) {
        if (is_debug) break;
        void* const fresh = std::malloc(wanted);
        const std::size_t promised = nallocx(wanted, 0);
        expect(promised >= wanted && usable_size(fresh) >= promised, "nallocx", "promises what malloc gives", wanted);
        std::memset(fresh, 0x5a, promised);
        std::free(fresh);
    }
    expect(found<int(const void*)>("MallocExtension_VerifyMallocMemory")(block) == 1,
           "MallocExtension_VerifyMallocMemory", "vouches for every block of malloc");
    for (const char* name : {"MallocExtension_GetAllocatedSize", "tc_malloc_size", "malloc_size"}) {
        expect(found<std::size_t(const void*)>(name)(block) >= size, name, "knows the room of every block");
    }
}

void mimalloc(void*& block, bool is_arena_block) {
    for (const char* name : {"mi_usable_size", "mi_malloc_size", "mi_malloc_usable_size", "malloc_size"}) {
        size_function(name, block);
    }
    expect(found<bool(const void*)>("mi_is_in_heap_region")(block), "mi_is_in_heap_region", "knows every block");
    const bool is_here = found<bool(const void*)>("mi_check_owned")(block);
    if (is_arena_block) expect(!is_here, "mi_check_owned", "finds no arena block in a heap");
    auto* good_size = found<std::size_t(std::size_t)>("mi_good_size");
    void* const fresh = std::malloc(1000);
    expect(usable_size(fresh) >= good_size(1000), "mi_good_size", "promises what malloc gives");
    std::free(fresh);
    void* const expanded = found<void*(void*, std::size_t)>("mi_expand")(block, 101);
    expect(expanded == block || expanded == nullptr, "mi_expand", "never moves");
    expect(found<void*(void*, std::size_t)>("mi_expand")(block, too_much) == nullptr, "mi_expand", "refuses too much");
    // reallocarr: the pointer changes only when it succeeds.
    auto* reallocarr = found<int(void*, std::size_t, std::size_t)>("mi_reallocarr");
    std::memset(block, 0x5a, size);
    expect(reallocarr(&block, 50, 100) == 0 && reads(block, 0, size, 0x5a), "mi_reallocarr", "moves the block");
    void* const before = block;
    expect(reallocarr(&block, too_much, 2) != 0 && block == before, "mi_reallocarr", "leaves it alone when it fails");
    auto* under_its_bsd_name = found<int(void*, std::size_t, std::size_t)>("reallocarr");
    expect(under_its_bsd_name(&block, 55, 100) == 0 && reads(block, 0, size, 0x5a), "reallocarr", "moves the block");
    block = found<void*(void*, std::size_t)>("mi_reallocf")(block, 6000);
    expect(block != nullptr && reads(block, 0, size, 0x5a), "mi_reallocf", "moves the block");
    expect(found<void*(void*, std::size_t)>("mi_reallocf")(block, too_much) == nullptr, "mi_reallocf", "fails");
    block = std::malloc(size);
}

// The other two, about blocks of their own.
void tcmalloc_vouches() {
    void* object = nullptr;
    void* array = nullptr;
    run_in(Context::walk, [&] {
        object = ::operator new(size);
        array = ::operator new[](size);
    });
    expect(found<int(const void*)>("MallocExtension_VerifyNewMemory")(object) == 1, "MallocExtension_VerifyNewMemory",
           "vouches for every block of new");
    expect(found<int(const void*)>("MallocExtension_VerifyArrayNewMemory")(array) == 1,
           "MallocExtension_VerifyArrayNewMemory", "vouches for every block of new[]");
    ::operator delete(object);
    ::operator delete[](array);
}

void check(void*& block, bool is_arena_block) {
    if (found<void()>("mallocx") != nullptr) jemalloc(block, is_arena_block);
    if (found<void()>("tc_malloc") != nullptr) tcmalloc(block);
    if (found<void()>("mi_malloc") != nullptr) mimalloc(block, is_arena_block);
}

}  // namespace

int main(int argc, char** argv) {
    const auto where = argc == 2 ? context_named(argv[1]) : std::nullopt;
    if (!where) {
        std::fprintf(stderr, "usage: vendor_calls <plain, thread, walk or constructor>\n");
        return 2;
    }
    void* ordinary = std::malloc(size);
    void* ours = nullptr;
    run_in(Context::walk, [&] { ours = std::malloc(size); });
    run_in(*where, [&] {
        check(ordinary, false);
        check(ours, is_protected());
    });
    if (found<void()>("tc_malloc") != nullptr) tcmalloc_vouches();
    std::free(ordinary);
    std::free(ours);
    return verdict();
}
