// SPDX-License-Identifier: Apache-2.0
// The first call of every function that a program names is made under a loader lock: where calls are bound on first
// use, ld.so looks the function up there and then.
//   first_calls walk|constructor
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/doors/contexts.h"

using namespace doors;
using unknot::StatsPage;

namespace {

constexpr std::size_t size = 256;
constexpr auto alignment = std::align_val_t{64};
Context place{};
unsigned calls = 0;
std::uint64_t before = 0;

// Is what the call gave usable, and was it counted?
char* given(void* block, const char* door) {
    ++calls;
    expect(block != nullptr, door, "gives a block at its first call");
    std::memset(block, 0x5a, size);
    const std::uint64_t diverted = counter(&StatsPage::diverted) - before;
    expect(diverted == (diverts(place) ? calls : 0u), door, "is diverted at its first call");
    return static_cast<char*>(block);
}

void call_everything() {
    before = counter(&StatsPage::diverted);
    char* block = given(std::malloc(size), "malloc");
    std::free(block);
    block = given(std::calloc(2, size), "calloc");
    expect(malloc_usable_size(block) >= size, "malloc_usable_size", "answers at its first call");
    block = given(std::realloc(block, 300'000), "realloc");
    std::free(block);
    void* out = nullptr;
    std::free(given(posix_memalign(&out, 64, size) == 0 ? out : nullptr, "posix_memalign"));
    std::free(given(std::aligned_alloc(64, size), "aligned_alloc"));
    std::free(given(memalign(64, size), "memalign"));
    ::operator delete(given(::operator new(size), "operator new"));
    ::operator delete[](given(::operator new[](size), "operator new[]"), size);
    ::operator delete(given(::operator new(size, std::nothrow), "operator new(nothrow)"), std::nothrow);
    ::operator delete(given(::operator new(size, alignment), "operator new(alignment)"), size, alignment);
    ::operator delete[](given(::operator new[](size, alignment), "operator new[](alignment)"), alignment);
}

}  // namespace

int main(int argc, char** argv) {
    const auto where = argc == 2 ? context_named(argv[1]) : std::nullopt;
    if (!where || !owns_loader_lock(*where)) {
        std::fprintf(stderr, "usage: first_calls walk|constructor\n");
        return 2;
    }
    place = *where;
    run_in(*where, call_everything);
    return verdict();
}
