// SPDX-License-Identifier: Apache-2.0
// For comparison: a walk without a lock that ignores dlopen and dlclose. It copies the list of loaded objects once, at
// its start, and serves every dl_iterate_phdr from the copy, as Seastar (src/core/exception_hacks.cc) and ClickHouse
// (base/base/phdr_cache.cpp) do. What is loaded later is not seen, and what is unloaded still is.
#include <dlfcn.h>
#include <link.h>

#include <cstddef>

namespace {

using Callback = int (*)(dl_phdr_info*, std::size_t, void*);
using Walk = int (*)(Callback, void*);

constexpr std::size_t most = 1000;
// The size of glibc before 2.4. libgcc before glibc 2.35 keeps a cache in its callback that is only safe when the
// loader's lock serialises callbacks; where the counts of loads are missing, behind that size, it does without (libgcc,
// unwind-dw2-fde-dip.c; the same in Seastar).
constexpr std::size_t size_without_counts = offsetof(dl_phdr_info, dlpi_adds);

dl_phdr_info objects[most];
std::size_t used = 0;

[[gnu::constructor]] void copy_list() {
    const auto next = reinterpret_cast<Walk>(dlsym(RTLD_NEXT, "dl_iterate_phdr"));
    next(
        [](dl_phdr_info* info, std::size_t, void*) {
            if (used < most) objects[used++] = *info;
            return 0;
        },
        nullptr);
}

}  // namespace

// Empty until the constructor: looking libc's own up then could allocate (dlsym before glibc 2.34 always does), and who
// asks so early is an allocator, inside its first malloc.
extern "C" [[gnu::visibility("default")]] int dl_iterate_phdr(Callback callback, void* data) {
    for (std::size_t i = 0; i < used; ++i) {
        dl_phdr_info info = objects[i];
        const int result = callback(&info, size_without_counts, data);
        if (result != 0) return result;
    }
    return 0;
}
