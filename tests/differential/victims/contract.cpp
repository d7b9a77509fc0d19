// SPDX-License-Identifier: Apache-2.0
// What every door answers to odd questions, here or while a loader lock is owned.
//   contract plain|walk|constructor
#include <malloc.h>

#include <cstdint>
#include <new>

#include "tests/differential/stage.h"

namespace {

// Not for the compiler's eyes: it would refuse some of these.
std::size_t number(std::size_t value) {
    asm volatile("" : "+r"(value));
    return value;
}

void tell(const char* what, void* block, int code, std::size_t alignment = 8) {
    const bool fits = reinterpret_cast<std::uintptr_t>(block) % (alignment == 0 ? 1 : alignment) == 0;
    // That there is no memory is said with ENOMEM, or by some allocators with NULL alone; that there is no such
    // alignment with EINVAL, or (mimalloc) with NULL alone.
    const bool no_memory = block == nullptr && (code == ENOMEM || code == EINVAL || code == 0);
    std::printf("%-36s %s errno %d%s\n", what, block != nullptr ? "block" : "NULL", no_memory ? 0 : code,
                fits ? "" : " misaligned");
    std::free(block);
}

#define TELL(call)                  \
    do {                            \
        errno = 0;                  \
        void* block_ = (call);      \
        tell(#call, block_, errno); \
    } while (false)

void tell_aligned(std::size_t alignment, std::size_t size) {
    char what[64];
    std::snprintf(what, sizeof what, "aligned_alloc(%#zx, %zu)", alignment, size);
    errno = 0;
    void* block = aligned_alloc(number(alignment), number(size));
    tell(what, block, errno, 1);
    std::snprintf(what, sizeof what, "posix_memalign(%#zx, %zu)", alignment, size);
    block = nullptr;
    errno = 0;
    const int code = posix_memalign(&block, number(alignment), number(size));
    tell(what, code == 0 ? block : nullptr, code, code == 0 ? alignment : 1);
}

void tell_all() {
    TELL(std::malloc(number(0)));
    TELL(std::malloc(number(1)));
    TELL(std::malloc(number(SIZE_MAX)));
    TELL(std::malloc(number(PTRDIFF_MAX)));
    TELL(std::calloc(number(SIZE_MAX / 2), number(3)));
    TELL(std::calloc(number(0), number(9)));
    TELL(std::calloc(number(9), number(0)));
    TELL(std::realloc(nullptr, number(0)));
    TELL(std::realloc(nullptr, number(SIZE_MAX)));
    TELL(std::realloc(std::malloc(number(8)), number(0)));
    errno = 0;
    void* product = reallocarray(nullptr, number(SIZE_MAX), number(2));
    // mimalloc from 3.6 on says EOVERFLOW here; reallocarray(3), and the shim while a loader lock is owned, ENOMEM.
    tell("reallocarray of too much", product, errno == EOVERFLOW ? ENOMEM : errno);
    TELL(valloc(number(0)));
    TELL(valloc(number(100)));
    // Of errno operator new says nothing.
    tell("new of too much", ::operator new(number(SIZE_MAX), std::nothrow), 0);
    tell("new of nothing", ::operator new(number(0), std::nothrow), 0);
    void* aligned = ::operator new[](number(8), std::align_val_t{64}, std::nothrow);
    std::printf("aligned new %s\n", aligned != nullptr ? "block" : "NULL");
    ::operator delete[](aligned, std::align_val_t{64}, std::nothrow);
    // Larger alignments, and more than there is with an odd one, are the end of tcmalloc itself.
    for (const std::size_t alignment : {0, 1, 3, 8, 24, 64, 4096, 1 << 16}) {
        for (const std::size_t size : {0, 8, 100}) tell_aligned(alignment, size);
    }
    for (const std::size_t alignment : {8, 64, 4096}) tell_aligned(alignment, PTRDIFF_MAX);
    void* kept = std::malloc(number(8));
    void* failed = std::realloc(kept, number(SIZE_MAX));
    std::printf("realloc to too much: %s, usable for 8: %d\n", failed != nullptr ? "block" : "NULL",
                malloc_usable_size(kept) >= 8);
    errno = 77;
    std::free(kept);
    std::free(nullptr);
    std::printf("free leaves errno %d, usable of NULL %zu\n", errno, malloc_usable_size(nullptr));
}

bool in_constructor;

}  // namespace

extern "C" void when_loaded() {
    if (in_constructor) tell_all();
}
extern "C" void when_unloaded() {}

int main(int, char** argv) {
    static char buffer[1 << 16];
    std::setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    const std::string_view where = argv[1];
    in_constructor = where == "constructor";
    if (where == "walk") {
        stage::inside_walk(tell_all);
    } else if (in_constructor) {
        stage::load_and_unload("calls_back.so");
    } else {
        tell_all();
    }
    return 0;
}
