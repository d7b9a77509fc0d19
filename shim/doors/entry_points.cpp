// SPDX-License-Identifier: Apache-2.0
// The hot path, generated: one question, one tail call. Nothing else may stand here.
// Budget (x86_64, checked by a test): allocations 7 instructions, deallocations 11, no stack, no call.
#include "shim/allocator/real_allocator.h"
#include "shim/doors/divert.h"
#include "shim/doors/enter.h"
#include "shim/doors/slow_entry_points.h"
#include "shim/system/platform.h"

namespace unknot {

#define UNKNOT_ALLOCATION(id, symbol, parameters, arguments, ...)   \
    UNKNOT_EXPORT void* id parameters asm(symbol);                  \
    void* id parameters {                                           \
        if (must_go_slow(thread_state)) return id##_slow arguments; \
        return real_allocator.id arguments;                         \
    }
#define UNKNOT_ALLOCATION_INTO(id, symbol)                                                 \
    UNKNOT_EXPORT int id(void** out, std::size_t alignment, std::size_t size) asm(symbol); \
    int id(void** out, std::size_t alignment, std::size_t size) {                          \
        if (must_go_slow(thread_state)) return id##_slow(out, alignment, size);            \
        return real_allocator.id(out, alignment, size);                                    \
    }
#define UNKNOT_REALLOCATION(id, symbol, parameters, arguments, ...)                            \
    UNKNOT_EXPORT void* id parameters asm(symbol);                                             \
    void* id parameters {                                                                      \
        if (arena.contains(pointer) || must_go_slow(thread_state)) return id##_slow arguments; \
        return real_allocator.id arguments;                                                    \
    }
#define UNKNOT_DEALLOCATION(id, symbol, parameters, arguments, ...)                  \
    UNKNOT_EXPORT void id parameters asm(symbol);                                    \
    void id parameters {                                                             \
        if (__builtin_expect(arena.contains(pointer), 0)) return take_back(pointer); \
        if (must_go_slow(thread_state)) return id##_slow arguments;                  \
        return real_allocator.id arguments;                                          \
    }
#define UNKNOT_QUERY(id, symbol)                                                              \
    UNKNOT_EXPORT std::size_t id(void* pointer) asm(symbol);                                  \
    std::size_t id(void* pointer) {                                                           \
        if (arena.contains(pointer) || must_go_slow(thread_state)) return id##_slow(pointer); \
        return real_allocator.id(pointer);                                                    \
    }
#include "shim/allocator/entry_points.inc"

}  // namespace unknot
