// SPDX-License-Identifier: Apache-2.0
// A tracer of mappings.
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/differential/preloads/guarded.h"

void* mmap(void* address, size_t size, int protection, int flags, int file, off_t offset) {
    allocate_guarded();
    return (void*)(intptr_t)syscall(SYS_mmap, address, size, protection, flags, file, offset);
}

int munmap(void* address, size_t size) {
    allocate_guarded();
    return (int)syscall(SYS_munmap, address, size);
}

int madvise(void* address, size_t size, int advice) {
    allocate_guarded();
    return (int)syscall(SYS_madvise, address, size, advice);
}
