// SPDX-License-Identifier: Apache-2.0
#include "shim/allocator/open_questions.h"

#include "shim/allocator/real_allocator.h"
#include "shim/system/sizes.h"

namespace unknot {

namespace {

// Written once, at start; read on slow paths. glibc's answers.
constinit bool frees_for_zero = true;
constinit bool aligns_to_zero = false;
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

bool aligns_to_zero_when_asked() {
    void* block = real_allocator.aligned_alloc(0, 8);
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
    if (!allocator.is_debug_build) aligns_to_zero = aligns_to_zero_when_asked();
}

bool answers_block_sizes() {
    return answers_sizes;
}

bool realloc_zero_frees() {
    return frees_for_zero;
}

std::size_t accepted_by_aligned_alloc(std::size_t alignment) {
    if (std::has_single_bit(alignment)) return alignment;
    // One function under two names, as in glibc before 2.38 and in gperftools: it rounds up, as memalign does.
    if (reinterpret_cast<const void*>(real_allocator.aligned_alloc) ==
        reinterpret_cast<const void*>(real_allocator.memalign)) {
        return next_power_of_two(alignment);
    }
    return alignment == 0 && aligns_to_zero ? 1 : no_alignment;
}

}  // namespace unknot
