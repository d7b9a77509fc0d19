// SPDX-License-Identifier: Apache-2.0
// A program that looks for the vendor of its allocator by weak symbols, as folly and Rust's crates do. Prints what it
// finds.
#include <stdio.h>

// clang-format goes back and forth between two ways here.
// clang-format off
#define PROBES(X)                                                                                         \
    X(mallocx)                                                                                            \
    X(rallocx) X(xallocx) X(sallocx) X(dallocx) X(sdallocx) X(nallocx) X(mallctl) X(tc_malloc) X(tc_free) \
        X(tc_nallocx) X(MallocExtension_GetOwnership) X(MallocExtension_GetAllocatedSize)                 \
            X(MallocExtension_ReleaseFreeMemory) X(malloc_size) X(mi_malloc) X(mi_free) X(mi_usable_size) \
                X(mi_is_in_heap_region) X(mi_version) X(reallocf)
// clang-format on

#define DECLARE(name) extern void name(void) __attribute__((weak));
PROBES(DECLARE)

int main(void) {
#define PRINT(name) printf("%s %s\n", #name, name != NULL ? "yes" : "no");
    PROBES(PRINT)
    return 0;
}
