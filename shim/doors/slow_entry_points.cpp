// SPDX-License-Identifier: Apache-2.0
// Generated: ask the slow path, forward what it leaves to the real allocator.
#include "shim/doors/slow_entry_points.h"

#include <errno.h>

#include "shim/allocator/open_questions.h"
#include "shim/allocator/real_allocator.h"
#include "shim/doors/divert_at_once.h"
#include "shim/doors/enter.h"
#include "shim/system/sizes.h"

namespace unknot {

namespace {
// The arena's blocks are that much aligned anyway. no_alignment is 0.
constexpr bool is_everyday(std::size_t alignment) {
    return alignment - 1 < 16;
}
}  // namespace

// The careful half is a function of its own, which is jumped to: a request in memory would cost the other one a frame.
#define UNKNOT_ALLOCATION(id, symbol, parameters, arguments, failure_, size_, alignment_, fill_)           \
    UNKNOT_COLD static void* id##_with_care parameters {                                                   \
        const Request request{.size = size_, .alignment = alignment_, .fill = fill_, .failure = failure_}; \
        const Served served = divert_allocation(request, UNKNOT_CALLER);                                   \
        return served.yes ? served.block : real_allocator.id arguments;                                    \
    }                                                                                                      \
    void* id##_slow parameters {                                                                           \
        if (is_everyday(alignment_)) {                                                                     \
            if (void* block = divert_at_once<fill_>(size_, UNKNOT_CALLER)) return block;                   \
        }                                                                                                  \
        return id##_with_care arguments;                                                                   \
    }
#define UNKNOT_ALLOCATION_INTO(id, symbol)                                                              \
    int id##_slow(void** out, std::size_t alignment, std::size_t size) {                                \
        if (!std::has_single_bit(alignment) || alignment % sizeof(void*) != 0) return EINVAL;           \
        const int before = errno; /* the result says it all: errno stays */                             \
        const Served served = divert_allocation({.size = size, .alignment = alignment}, UNKNOT_CALLER); \
        if (!served.yes) return real_allocator.id(out, alignment, size);                                \
        errno = before;                                                                                 \
        if (served.block == nullptr) return ENOMEM;                                                     \
        *out = served.block;                                                                            \
        return 0;                                                                                       \
    }
#define UNKNOT_REALLOCATION(id, symbol, parameters, arguments, size_)                                               \
    void* id##_slow parameters {                                                                                    \
        const Served served = divert_reallocation({.pointer = pointer, .request = {.size = size_}}, UNKNOT_CALLER); \
        return served.yes ? served.block : real_allocator.id arguments;                                             \
    }
#define UNKNOT_DEALLOCATION(id, symbol, parameters, arguments, size_, alignment_)   \
    void id##_slow parameters {                                                     \
        const Deallocation call{pointer, DeallocationRow::id, size_, alignment_};   \
        if (!divert_deallocation(call, UNKNOT_CALLER)) real_allocator.id arguments; \
    }
#define UNKNOT_QUERY(id, symbol)                                                              \
    std::size_t id##_slow(void* pointer) {                                                    \
        return arena.contains(pointer) ? arena.usable_size(pointer) : ask_real().id(pointer); \
    }
#include "shim/allocator/entry_points.inc"

}  // namespace unknot
