// SPDX-License-Identifier: Apache-2.0
#include "shim/stand_ins.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/auxv.h>

#include "shim/platform.h"
#include "shim/real_allocator.h"
#include "shim/report.h"
#include "shim/sizes.h"

namespace unknot {

std::size_t page_size() {
    return getauxval(AT_PAGESZ);
}

namespace {

using Handler = void (*)();

struct CxxRuntime {
    Handler (*get_new_handler)() = nullptr;  // std::get_new_handler(), libstdc++ and libc++
    void (*throw_bad_alloc)() = nullptr;     // std::__throw_bad_alloc(), libstdc++ and libc++
};
// Global libraries of the start are never unloaded, so these may be kept.
constinit CxxRuntime at_start;

CxxRuntime look_up(void* handle) {
    return {.get_new_handler = reinterpret_cast<Handler (*)()>(dlsym(handle, "_ZSt15get_new_handlerv")),
            .throw_bad_alloc = reinterpret_cast<void (*)()>(dlsym(handle, "_ZSt17__throw_bad_allocv"))};
}

// The runtime that the object around `caller` was linked against. Not kept: it may be unloaded with that object, which
// is on this thread's stack and so cannot go before we are back.
CxxRuntime runtime_of(const void* caller) {
    if (at_start.throw_bad_alloc != nullptr) return at_start;
    CxxRuntime found = look_up(RTLD_DEFAULT);
    Dl_info object{};
    if (found.throw_bad_alloc == nullptr && dladdr(caller, &object) != 0) {
        if (void* handle = dlopen(object.dli_fname, RTLD_LAZY | RTLD_NOLOAD)) {
            found = look_up(handle);
            dlclose(handle);
        }
    }
    return found;
}

void* allocate_or_throw(std::size_t size, std::size_t alignment, const void* caller) {
    while (true) {
        void* p = nullptr;
        if (alignment <= 16) {
            p = real_allocator.malloc(size);
        } else if (real_allocator.posix_memalign(&p, alignment, size) != 0) {
            p = nullptr;
        }
        if (p != nullptr) return p;
        run_new_handler_or_throw(size, caller);
    }
}

// The nothrow forms return NULL at once: without a C++ runtime of our own we cannot catch what a new_handler throws.
void* allocate_or_null(std::size_t size, std::size_t alignment) {
    void* p = nullptr;
    if (alignment <= 16) return real_allocator.malloc(size);
    return real_allocator.posix_memalign(&p, alignment, size) == 0 ? p : nullptr;
}

void* aligned(std::size_t alignment, std::size_t size) {
    void* p = nullptr;
    const std::size_t at_least = alignment < sizeof(void*) ? sizeof(void*) : next_power_of_two(alignment);
    const int failure = real_allocator.posix_memalign(&p, at_least, size);
    if (failure == 0) return p;
    errno = failure;
    return nullptr;
}

}  // namespace

void find_cxx_runtime() {
    at_start = look_up(RTLD_DEFAULT);
}

void run_new_handler_or_throw(std::size_t size, const void* caller) {
    const CxxRuntime runtime = runtime_of(caller);
    if (runtime.get_new_handler != nullptr) {
        if (Handler handler = runtime.get_new_handler()) return handler();
    }
    if (runtime.throw_bad_alloc != nullptr) runtime.throw_bad_alloc();
    report::cannot_throw(size);
}

namespace stand_in {

// libc has the first five; an object without them is no allocator.
void* malloc(std::size_t) {
    report::no_real_allocator();
}
void free(void*) {
    report::no_real_allocator();
}
void* calloc(std::size_t, std::size_t) {
    report::no_real_allocator();
}
void* realloc(void*, std::size_t) {
    report::no_real_allocator();
}
int posix_memalign(void**, std::size_t, std::size_t) {
    return ENOMEM;
}
int dl_iterate_phdr(int (*)(dl_phdr_info*, std::size_t, void*), void*) {
    return 0;
}

std::size_t malloc_usable_size(void*) {
    return 0;
}
void* memalign(std::size_t alignment, std::size_t size) {
    return aligned(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
    return aligned(alignment, size);
}
void* valloc(std::size_t size) {
    return aligned(page_size(), size);
}
void* pvalloc(std::size_t size) {
    return aligned(page_size(), whole_pages(size));
}
void* reallocarray(void* pointer, std::size_t count, std::size_t size) {
    return real_allocator.realloc(pointer, product(count, size));
}
void cfree(void* pointer) {
    real_allocator.free(pointer);
}
void free_sized(void* pointer, std::size_t) {
    real_allocator.free(pointer);
}
void free_aligned_sized(void* pointer, std::size_t, std::size_t) {
    real_allocator.free(pointer);
}

void* new_(std::size_t size) {
    return allocate_or_throw(size, 16, UNKNOT_CALLER);
}
void* new_array(std::size_t size) {
    return allocate_or_throw(size, 16, UNKNOT_CALLER);
}
void* new_nothrow(std::size_t size, const void*) {
    return allocate_or_null(size, 16);
}
void* new_array_nothrow(std::size_t size, const void*) {
    return allocate_or_null(size, 16);
}
void* new_aligned(std::size_t size, std::size_t alignment) {
    return allocate_or_throw(size, alignment, UNKNOT_CALLER);
}
void* new_array_aligned(std::size_t size, std::size_t alignment) {
    return allocate_or_throw(size, alignment, UNKNOT_CALLER);
}
void* new_aligned_nothrow(std::size_t size, std::size_t alignment, const void*) {
    return allocate_or_null(size, alignment);
}
void* new_array_aligned_nothrow(std::size_t size, std::size_t alignment, const void*) {
    return allocate_or_null(size, alignment);
}
void delete_(void* pointer) {
    real_allocator.free(pointer);
}
void delete_array(void* pointer) {
    real_allocator.free(pointer);
}
void delete_sized(void* pointer, std::size_t) {
    real_allocator.free(pointer);
}
void delete_array_sized(void* pointer, std::size_t) {
    real_allocator.free(pointer);
}
void delete_nothrow(void* pointer, const void*) {
    real_allocator.free(pointer);
}
void delete_array_nothrow(void* pointer, const void*) {
    real_allocator.free(pointer);
}
void delete_aligned(void* pointer, std::size_t) {
    real_allocator.free(pointer);
}
void delete_array_aligned(void* pointer, std::size_t) {
    real_allocator.free(pointer);
}
void delete_sized_aligned(void* pointer, std::size_t, std::size_t) {
    real_allocator.free(pointer);
}
void delete_array_sized_aligned(void* pointer, std::size_t, std::size_t) {
    real_allocator.free(pointer);
}
void delete_aligned_nothrow(void* pointer, std::size_t, const void*) {
    real_allocator.free(pointer);
}
void delete_array_aligned_nothrow(void* pointer, std::size_t, const void*) {
    real_allocator.free(pointer);
}

}  // namespace stand_in
}  // namespace unknot
