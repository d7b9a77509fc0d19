// SPDX-License-Identifier: Apache-2.0
#include "shim/allocator/open_questions.h"

#include "shim/allocator/real_allocator.h"
#include "shim/system/sizes.h"

namespace unknot {

namespace {

// Written once, at start; read on slow paths. glibc's answers.
constinit bool frees_for_zero = true;
// An alignment of zero, for a size that is a power of two and for another: mimalloc takes the first (2.0,
// mi_malloc_aligned).
constinit bool aligns_to_zero = false;
constinit bool aligns_any_to_zero = false;
constinit bool answers_sizes = false;

// glibc frees, and so does memcheck in its place, which reports the question from 3.21 on (mlichvar/chrony commit
// 109970f; seen with 3.24). An allocator that nobody knows may stop the process over it (Electric Fence does).
bool may_be_asked(AllocatorKind kind) {
    return kind != AllocatorKind::glibc && kind != AllocatorKind::unknown;
}

bool frees_when_asked() {
    void* block = real_allocator.malloc(16);
    if (block == nullptr) return true;
    void* left = real_allocator.realloc(block, 0);
    if (left == nullptr) return true;
    real_allocator.free(left);
    return false;
}

bool aligns_to_zero_when_asked(std::size_t size) {
    void* block = real_allocator.aligned_alloc(0, size);
    if (block == nullptr) return false;
    real_allocator.free(block);
    return true;
}

}  // namespace

void ask_open_questions(const AllocatorEvidence& allocator) {
    const AllocatorKind kind = identify(allocator);
    answers_sizes = kind != AllocatorKind::unknown && !allocator.is_debug_build;
    if (!may_be_asked(kind)) return;
    frees_for_zero = frees_when_asked();
    // A debug build of tcmalloc ends at such an alignment.
    if (allocator.is_debug_build) return;
    aligns_to_zero = aligns_to_zero_when_asked(8);
    aligns_any_to_zero = aligns_to_zero_when_asked(24);
}

bool answers_block_sizes() {
    return answers_sizes;
}

bool realloc_zero_frees() {
    return frees_for_zero;
}

std::size_t accepted_by_aligned_alloc(std::size_t alignment, std::size_t size) {
    if (std::has_single_bit(alignment)) return alignment;
    // One function under two names, as in glibc before 2.38 and in gperftools: it rounds up, as memalign does.
    if (reinterpret_cast<const void*>(real_allocator.aligned_alloc) ==
        reinterpret_cast<const void*>(real_allocator.memalign)) {
        return next_power_of_two(alignment);
    }
    const bool takes_zero = (size & (size - 1)) == 0 ? aligns_to_zero : aligns_any_to_zero;
    return alignment == 0 && takes_zero ? 1 : no_alignment;
}

}  // namespace unknot
