// SPDX-License-Identifier: Apache-2.0
// The B of A/B/C: an interposer that only jumps on. What it costs is the price of standing in the way at all, and the
// shim's own price is what comes on top. Each function is one indirect jump; a slot finds its target when first used,
// and at the latest in a constructor: who looks up later waits for the loader.
#include <dlfcn.h>

#include <cstddef>

struct dl_phdr_info;

namespace {

using WalkCallback = int (*)(dl_phdr_info*, std::size_t, void*);

// A C program that loads a C++ library late has no operator new behind us in the search order: `instead` is what
// libstdc++ would have called. That loses bad_alloc, which no benchmark asks for.
template <class Function>
Function* next(const char* symbol, const char* instead) {
    void* found = dlsym(RTLD_NEXT, symbol);
    return reinterpret_cast<Function*>(found != nullptr ? found : dlsym(RTLD_NEXT, instead));
}

}  // namespace

#define ROW(id, symbol, instead, result, parameters, arguments)            \
    static result first_##id parameters;                                   \
    static result(*next_##id) parameters = first_##id;                     \
    [[gnu::cold]] static result first_##id parameters {                    \
        next_##id = next<result parameters>(symbol, instead);              \
        return next_##id arguments;                                        \
    }                                                                      \
    [[gnu::constructor]] static void find_##id() {                         \
        next_##id = next<result parameters>(symbol, instead);              \
    }                                                                      \
    [[gnu::visibility("default")]] result hop_##id parameters asm(symbol); \
    result hop_##id parameters {                                           \
        return next_##id arguments;                                        \
    }

// clang-format off
ROW(malloc, "malloc", "malloc", void*, (std::size_t size), (size))
ROW(free, "free", "free", void, (void* p), (p))
ROW(calloc, "calloc", "calloc", void*, (std::size_t count, std::size_t size), (count, size))
ROW(realloc, "realloc", "realloc", void*, (void* p, std::size_t size), (p, size))
ROW(posix_memalign, "posix_memalign", "posix_memalign", int, (void** out, std::size_t alignment, std::size_t size), (out, alignment, size))
ROW(memalign, "memalign", "memalign", void*, (std::size_t alignment, std::size_t size), (alignment, size))
ROW(aligned_alloc, "aligned_alloc", "aligned_alloc", void*, (std::size_t alignment, std::size_t size), (alignment, size))
ROW(malloc_usable_size, "malloc_usable_size", "malloc_usable_size", std::size_t, (void* p), (p))
ROW(new_, "_Znwm", "malloc", void*, (std::size_t size), (size))
ROW(new_array, "_Znam", "malloc", void*, (std::size_t size), (size))
ROW(delete_, "_ZdlPv", "free", void, (void* p), (p))
ROW(delete_array, "_ZdaPv", "free", void, (void* p), (p))
ROW(delete_sized, "_ZdlPvm", "free", void, (void* p, std::size_t size), (p, size))
ROW(delete_array_sized, "_ZdaPvm", "free", void, (void* p, std::size_t size), (p, size))
ROW(dl_iterate_phdr, "dl_iterate_phdr", "dl_iterate_phdr", int, (WalkCallback callback, void* data), (callback, data))
// clang-format on
