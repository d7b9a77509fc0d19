// SPDX-License-Identifier: Apache-2.0
// Preloaded with libunknot.so, UNKNOT_MODE=protect and UNKNOT_ARENA_FULL=fail: every door, called under the loader lock
// while the kernel refuses the shim's calls, keeps its contract: a block, or the failure that the door knows, with the
// old block whole and errno as it must be.
// Usage: refused_doors FIRST LAST (calls to refuse). Exits with 5 when FIRST was never reached.
#include <link.h>
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <new>

#include "tests/shim/refused_calls.h"

namespace {

constexpr int sentinel = 4242;  // errno must be this after a success

[[noreturn]] void broken(const char* door, const char* what) {
    std::fprintf(stderr, "refused_doors: %s: %s\n", door, what);
    std::_Exit(1);
}

constinit int served = 0;
constinit int failed = 0;

void* by_c_rules(const char* door, void* block, std::size_t bytes) {
    if (block == nullptr) {
        ++failed;
        if (errno != ENOMEM) broken(door, "failed without ENOMEM");
        return nullptr;
    }
    ++served;
    if (errno != sentinel) broken(door, "changed errno on success");
    std::memset(block, 0x5a, bytes);
    return block;
}

void check_free(void* block) {
    errno = sentinel;
    std::free(block);
    if (errno != sentinel) broken("free", "changed errno");
}

void c_doors(std::size_t bytes) {
    errno = sentinel;
    void* block = by_c_rules("malloc", std::malloc(bytes), bytes);
    errno = sentinel;
    auto* zeroed = static_cast<unsigned char*>(std::calloc(bytes / 8, 8));
    if (zeroed != nullptr) {
        for (std::size_t i = 0; i < bytes / 8 * 8; ++i) {
            if (zeroed[i] != 0) broken("calloc", "a block that is not zeroed");
        }
    }
    by_c_rules("calloc", zeroed, bytes / 8 * 8);
    errno = sentinel;
    void* larger = std::realloc(block, bytes * 3);
    if (larger == nullptr && block != nullptr) {
        if (errno != ENOMEM) broken("realloc", "failed without ENOMEM");
        larger = block;
        ++failed;
    }
    for (std::size_t i = 0; block != nullptr && i < bytes; ++i) {
        if (static_cast<unsigned char*>(larger)[i] != 0x5a) broken("realloc", "the block lost its contents");
    }
    errno = sentinel;
    void* aligned = by_c_rules("aligned_alloc", aligned_alloc(4096, bytes), bytes);
    errno = sentinel;
    void* out = &out;
    const int result = posix_memalign(&out, 256, bytes);
    if (errno != sentinel) broken("posix_memalign", "changed errno");
    if (result == ENOMEM && out != &out) broken("posix_memalign", "failed and changed the pointer");
    if (result != 0 && result != ENOMEM) broken("posix_memalign", "an answer that it does not know");
    if (result == 0) std::memset(out, 1, bytes);
    result == 0 ? ++served : ++failed;
    check_free(zeroed);
    check_free(larger);
    check_free(aligned);
    if (result == 0) check_free(out);
}

void cxx_doors(std::size_t bytes) {
    void* plain = nullptr;
    void* aligned = nullptr;
    try {
        plain = ::operator new(bytes);
        std::memset(plain, 1, bytes);
        ++served;
    } catch (const std::bad_alloc&) {
        ++failed;
    }
    try {
        aligned = ::operator new (bytes, std::align_val_t{1024});
        if (reinterpret_cast<std::uintptr_t>(aligned) % 1024 != 0) broken("operator new", "badly aligned");
        std::memset(aligned, 1, bytes);
        ++served;
    } catch (const std::bad_alloc&) {
        ++failed;
    }
    void* quiet = ::operator new[](bytes, std::nothrow);
    if (quiet != nullptr) std::memset(quiet, 1, bytes);
    quiet != nullptr ? ++served : ++failed;
    ::operator delete(plain);
    ::operator delete (aligned, std::align_val_t{1024});
    ::operator delete[](quiet, std::nothrow);
}

int in_the_walk(dl_phdr_info*, std::size_t, void*) {
    for (int round = 0; round < 3; ++round) {
        for (const std::size_t bytes : {std::size_t{64}, std::size_t{9000}, std::size_t{20000}, std::size_t{300000}}) {
            c_doors(bytes);
            cxx_doors(bytes);
        }
    }
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const unknot::testing::Refusal refusal{-1, std::strtoull(argv[1], nullptr, 10),
                                           std::strtoull(argv[2], nullptr, 10)};
    unknot::testing::RefusedCalls::install(refusal);
    dl_iterate_phdr(in_the_walk, nullptr);
    std::printf("%d served, %d failed\n", served, failed);
    if (served == 0 && failed == 0) broken("dl_iterate_phdr", "nothing was tried");
    return unknot::testing::RefusedCalls::seen() <= refusal.first ? 5 : 0;
}
