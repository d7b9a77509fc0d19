// SPDX-License-Identifier: Apache-2.0
#include "shim/allocator/stand_ins.h"

#include <errno.h>
#include <sys/auxv.h>

#include "shim/allocator/cxx_runtime.h"
#include "shim/allocator/real_allocator.h"
#include "shim/log/report.h"
#include "shim/system/platform.h"
#include "shim/system/sizes.h"

namespace unknot {

std::size_t page_size() {
    return getauxval(AT_PAGESZ);
}

namespace {

// libstdc++ makes one byte of none, so that every object has an address of its own.
constexpr std::size_t object_size(std::size_t size) {
    return size == 0 ? 1 : size;
}

void* allocate(std::size_t size, std::size_t alignment) {
    void* p = nullptr;
    if (alignment <= 16) return real_allocator.base.malloc(object_size(size));
    return real_allocator.base.posix_memalign(&p, alignment, object_size(size)) == 0 ? p : nullptr;
}

void* allocate_or_throw(std::size_t size, std::size_t alignment, const void* caller) {
    if (!std::has_single_bit(alignment)) throw_bad_alloc(size, caller);
    while (true) {
        if (void* p = allocate(size, alignment)) return p;
        run_new_handler_or_throw(size, caller);
    }
}

void* allocate_or_null(std::size_t size, std::size_t alignment, const void* caller) {
    if (!std::has_single_bit(alignment)) return nullptr;
    if (void* p = allocate(size, alignment)) return p;
    return retry_nothrow(size, alignment, caller);
}

// `alignment` is a power of two or no_alignment.
void* aligned(std::size_t alignment, std::size_t size) {
    void* p = nullptr;
    const bool too_small = alignment != no_alignment && alignment < sizeof(void*);
    const int failure = real_allocator.base.posix_memalign(&p, too_small ? sizeof(void*) : alignment, size);
    if (failure == 0) return p;
    errno = failure;
    return nullptr;
}

}  // namespace

namespace stand_in {

// libc has these; an object without them is no allocator.
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
// libc has it.
int dl_iterate_phdr(int (*)(dl_phdr_info*, std::size_t, void*), void*) {
    return 0;
}

std::size_t malloc_usable_size(void*) {
    return 0;
}
void* memalign(std::size_t alignment, std::size_t size) {
    return aligned(next_power_of_two(alignment), size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
    return aligned(only_power_of_two(alignment), size);
}
void* valloc(std::size_t size) {
    return aligned(page_size(), size);
}
void* pvalloc(std::size_t size) {
    return aligned(page_size(), whole_pages(size));
}
void* reallocarray(void* pointer, std::size_t count, std::size_t size) {
    std::size_t bytes = 0;
    if (!__builtin_mul_overflow(count, size, &bytes)) return real_allocator.base.realloc(pointer, bytes);
    errno = ENOMEM;
    return nullptr;
}
void cfree(void* pointer) {
    real_allocator.base.free(pointer);
}
void free_sized(void* pointer, std::size_t) {
    real_allocator.base.free(pointer);
}
void free_aligned_sized(void* pointer, std::size_t, std::size_t) {
    real_allocator.base.free(pointer);
}

void* new_(std::size_t size) {
    return allocate_or_throw(size, 16, UNKNOT_CALLER);
}
void* new_array(std::size_t size) {
    return allocate_or_throw(size, 16, UNKNOT_CALLER);
}
void* new_nothrow(std::size_t size, const void*) {
    return allocate_or_null(size, 16, UNKNOT_CALLER);
}
void* new_array_nothrow(std::size_t size, const void*) {
    return allocate_or_null(size, 16, UNKNOT_CALLER);
}
void* new_aligned(std::size_t size, std::size_t alignment) {
    return allocate_or_throw(size, alignment, UNKNOT_CALLER);
}
void* new_array_aligned(std::size_t size, std::size_t alignment) {
    return allocate_or_throw(size, alignment, UNKNOT_CALLER);
}
void* new_aligned_nothrow(std::size_t size, std::size_t alignment, const void*) {
    return allocate_or_null(size, alignment, UNKNOT_CALLER);
}
void* new_array_aligned_nothrow(std::size_t size, std::size_t alignment, const void*) {
    return allocate_or_null(size, alignment, UNKNOT_CALLER);
}
void delete_(void* pointer) {
    real_allocator.base.free(pointer);
}
void delete_array(void* pointer) {
    real_allocator.base.free(pointer);
}
void delete_sized(void* pointer, std::size_t) {
    real_allocator.base.free(pointer);
}
void delete_array_sized(void* pointer, std::size_t) {
    real_allocator.base.free(pointer);
}
void delete_nothrow(void* pointer, const void*) {
    real_allocator.base.free(pointer);
}
void delete_array_nothrow(void* pointer, const void*) {
    real_allocator.base.free(pointer);
}
void delete_aligned(void* pointer, std::size_t) {
    real_allocator.base.free(pointer);
}
void delete_array_aligned(void* pointer, std::size_t) {
    real_allocator.base.free(pointer);
}
void delete_sized_aligned(void* pointer, std::size_t, std::size_t) {
    real_allocator.base.free(pointer);
}
void delete_array_sized_aligned(void* pointer, std::size_t, std::size_t) {
    real_allocator.base.free(pointer);
}
void delete_aligned_nothrow(void* pointer, std::size_t, const void*) {
    real_allocator.base.free(pointer);
}
void delete_array_aligned_nothrow(void* pointer, std::size_t, const void*) {
    real_allocator.base.free(pointer);
}

}  // namespace stand_in
}  // namespace unknot
