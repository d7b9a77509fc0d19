// SPDX-License-Identifier: Apache-2.0
// The doors that one allocator has beside the standard ones, generated from its rows: an object of their own, preloaded
// beside that allocator only, because a program that looks whether `mallocx` is there must not be told so by the shim.
// As in entry_points.cpp: one question, one tail call; the rest is cold.
//
//   UNKNOT_VENDOR_ALLOCATION(id, parameters, arguments, failure, size, alignment, fill)
//   UNKNOT_VENDOR_ALLOCATION_INTO(id)                       like posix_memalign
//   UNKNOT_VENDOR_REALLOCATION(id, parameters, arguments, failure, size, alignment, fill, fresh)
//       `fresh`: the vendor's call for a block that leaves the arena
//   UNKNOT_VENDOR_DEALLOCATION(id, parameters, arguments, row, size, alignment)
//       `row`: the row of shim/allocator/entry_points.inc that frees the same block later
//   UNKNOT_VENDOR_CALL(result, id, parameters, arguments, ours, locked)
//       anything else about a block: the answer for an arena block, and for an ordinary one under a loader lock
//   UNKNOT_VENDOR_SIZE(id, parameters, arguments, size)     how much room an allocation of `size` would have
//   UNKNOT_VENDOR_PLACE(id)                                 reallocarray by the address of the pointer, as in NetBSD
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "shim/doors/doors.h"
#include "shim/system/sizes.h"

namespace unknot {

std::size_t page_size() {
    return getauxval(AT_PAGESZ);
}

namespace {

[[gnu::always_inline]] inline bool is_ours(const void* pointer) {
    return __builtin_expect(unknot_doors_1.arena->contains(pointer), 0);
}

constexpr std::size_t round_up_16(std::size_t size) {
    if (size > SIZE_MAX - 15) return size;
    return size == 0 ? 16 : (size + 15) & ~std::size_t{15};
}

// No block of the arena is aligned like that, so the allocator has to serve it, as far as the policy lets it.
inline constexpr std::size_t only_the_allocator_can = std::size_t{1} << 62;

// mimalloc's *_at functions align the byte at `offset`.
[[maybe_unused]] constexpr std::size_t aligned_at(std::size_t alignment, std::size_t offset) {
    if (only_power_of_two(alignment) == no_alignment) return no_alignment;
    return offset % alignment == 0 ? alignment : only_the_allocator_can;
}

// The room of the arena block at `pointer` after trying for `largest` bytes, then for `smallest`.
[[maybe_unused]] std::size_t resized(void* pointer, std::size_t smallest, std::size_t largest, bool zero) {
    const std::size_t before = unknot_doors_1.usable_size(pointer);
    if (!unknot_doors_1.resize_in_place(pointer, largest)) unknot_doors_1.resize_in_place(pointer, smallest);
    const std::size_t now = unknot_doors_1.usable_size(pointer);
    if (zero && now > before) memset(static_cast<char*>(pointer) + before, 0, now - before);
    return now;
}

// The block is lost when it cannot be resized.
[[maybe_unused]] void* or_freed(void* moved, void* pointer) {
    if (moved == nullptr) free(pointer);
    return moved;
}

[[maybe_unused]] constexpr std::size_t at_least(std::size_t size, std::size_t room) {
    return size < room ? room : size;
}

template <class Fresh>
Reallocation reallocation(void* pointer, const Request& request, const Fresh& fresh) {
    return {.pointer = pointer,
            .request = request,
            .fresh = [](const void* call) { return (*static_cast<const Fresh*>(call))(); },
            .call = &fresh};
}

// A call that names a heap (mimalloc) or an arena (jemalloc) goes there although this thread owns a loader lock, where
// rule 2 stands in: destroying the heap must find its blocks. Told by the arguments: a heap comes first, an arena's
// number stands above bit 20 of the flags.
template <class... More>
[[maybe_unused]] bool allocates_somewhere(void*, More...) {
    return unknot_doors_1.walks_never_wait();
}
template <class... More>
[[maybe_unused]] constexpr bool allocates_somewhere(std::size_t, More...) {
    return false;
}
template <class... More>
[[maybe_unused]] bool resizes_somewhere(void*, void* pointer, More...) {
    return !is_ours(pointer) && unknot_doors_1.walks_never_wait();
}
template <class... More>
[[maybe_unused]] constexpr bool resizes_somewhere(void*, std::size_t, More...) {
    return false;
}
constexpr unsigned arena_shift = 20;  // MALLOCX_ARENA
[[maybe_unused]] bool allocates_somewhere(std::size_t, int flags) {
    return static_cast<unsigned>(flags) >> arena_shift != 0 && unknot_doors_1.walks_never_wait();
}
[[maybe_unused]] bool resizes_somewhere(void* pointer, std::size_t size, int flags) {
    return !is_ours(pointer) && allocates_somewhere(size, flags);
}

// Every slot begins as a function that looks the whole table up and calls through. It stays there where the vendor has
// no such function: an older one has fewer, and whoever calls it all the same is told which.
#define UNKNOT_FIRST(result, id, parameters) result id##_first parameters;
#define UNKNOT_VENDOR_ALLOCATION(id, parameters, ...) UNKNOT_FIRST(void*, id, parameters)
#define UNKNOT_VENDOR_ALLOCATION_INTO(id) UNKNOT_FIRST(int, id, (void**, std::size_t, std::size_t))
#define UNKNOT_VENDOR_REALLOCATION(id, parameters, ...) UNKNOT_FIRST(void*, id, parameters)
#define UNKNOT_VENDOR_DEALLOCATION(id, parameters, ...) UNKNOT_FIRST(void, id, parameters)
#define UNKNOT_VENDOR_CALL(result, id, parameters, ...) UNKNOT_FIRST(result, id, parameters)
#define UNKNOT_VENDOR_SIZE(id, parameters, ...) UNKNOT_FIRST(std::size_t, id, parameters)
#include UNKNOT_VENDOR_ROWS
#undef UNKNOT_FIRST

struct Vendor {
#define UNKNOT_SLOT(result, id, parameters) result(*id) parameters = id##_first;
#define UNKNOT_VENDOR_ALLOCATION(id, parameters, ...) UNKNOT_SLOT(void*, id, parameters)
#define UNKNOT_VENDOR_ALLOCATION_INTO(id) UNKNOT_SLOT(int, id, (void**, std::size_t, std::size_t))
#define UNKNOT_VENDOR_REALLOCATION(id, parameters, ...) UNKNOT_SLOT(void*, id, parameters)
#define UNKNOT_VENDOR_DEALLOCATION(id, parameters, ...) UNKNOT_SLOT(void, id, parameters)
#define UNKNOT_VENDOR_CALL(result, id, parameters, ...) UNKNOT_SLOT(result, id, parameters)
#define UNKNOT_VENDOR_SIZE(id, parameters, ...) UNKNOT_SLOT(std::size_t, id, parameters)
#include UNKNOT_VENDOR_ROWS
#undef UNKNOT_SLOT
};
constinit Vendor real;

template <class Function>
void look_up(Function*& slot, const char* symbol) {
    // Relaxed: other threads may be filling the same slot with the same value.
    if (void* found = dlsym(RTLD_NEXT, symbol)) {
        __atomic_store_n(&slot, reinterpret_cast<Function*>(found), __ATOMIC_RELAXED);
    }
}

// This thread is in the middle of it. gperftools 2.8 asks for tc_nallocx in its calloc, which dlsym calls (seen with
// glibc 2.31, dlfcn/dlerror.c): the answer is then what was asked for, the least that every block has.
__thread bool looking_up = false;

void look_up_all() {
    looking_up = true;
#define UNKNOT_VENDOR_ALLOCATION(id, ...) look_up(real.id, #id);
#define UNKNOT_VENDOR_ALLOCATION_INTO(id) look_up(real.id, #id);
#define UNKNOT_VENDOR_REALLOCATION(id, ...) look_up(real.id, #id);
#define UNKNOT_VENDOR_DEALLOCATION(id, ...) look_up(real.id, #id);
#define UNKNOT_VENDOR_CALL(result, id, ...) look_up(real.id, #id);
#define UNKNOT_VENDOR_SIZE(id, ...) look_up(real.id, #id);
#include UNKNOT_VENDOR_ROWS
    looking_up = false;
}

// Before the program starts threads: a look-up from inside a walk would take the loader's locks in the wrong order.
[[gnu::constructor]] void start() {
    look_up_all();
    if (dlsym(RTLD_NEXT, UNKNOT_VENDOR_ANCHOR) == nullptr) {
        unknot_doors_1.missing_vendor(UNKNOT_VENDOR_OBJECT, UNKNOT_VENDOR_ANCHOR);
    }
}

#define UNKNOT_FIRST(result, id, parameters, arguments)                  \
    result id##_first parameters {                                       \
        look_up_all();                                                   \
        if (real.id == id##_first) unknot_doors_1.missing_function(#id); \
        return real.id arguments;                                        \
    }
#define UNKNOT_VENDOR_ALLOCATION(id, parameters, arguments, ...) UNKNOT_FIRST(void*, id, parameters, arguments)
#define UNKNOT_VENDOR_ALLOCATION_INTO(id) \
    UNKNOT_FIRST(int, id, (void** out, std::size_t alignment, std::size_t size), (out, alignment, size))
#define UNKNOT_VENDOR_REALLOCATION(id, parameters, arguments, ...) UNKNOT_FIRST(void*, id, parameters, arguments)
#define UNKNOT_VENDOR_DEALLOCATION(id, parameters, arguments, ...) UNKNOT_FIRST(void, id, parameters, arguments)
#define UNKNOT_VENDOR_CALL(result, id, parameters, arguments, ...) UNKNOT_FIRST(result, id, parameters, arguments)
#define UNKNOT_VENDOR_SIZE(id, parameters, arguments, size_)             \
    std::size_t id##_first parameters {                                  \
        if (looking_up) return size_;                                    \
        look_up_all();                                                   \
        if (real.id == id##_first) unknot_doors_1.missing_function(#id); \
        return real.id arguments;                                        \
    }
#include UNKNOT_VENDOR_ROWS
#undef UNKNOT_FIRST

// The slow halves.
#define UNKNOT_VENDOR_ALLOCATION(id, parameters, arguments, failure_, size_, alignment_, fill_)            \
    UNKNOT_COLD void* id##_slow parameters {                                                               \
        if (allocates_somewhere arguments) return real.id arguments;                                       \
        const Request request{.size = size_, .alignment = alignment_, .fill = fill_, .failure = failure_}; \
        const Served served = unknot_doors_1.allocate(request, UNKNOT_CALLER);                             \
        return served.yes ? served.block : real.id arguments;                                              \
    }
#define UNKNOT_VENDOR_ALLOCATION_INTO(id)                                                                     \
    UNKNOT_COLD int id##_slow(void** out, std::size_t alignment, std::size_t size) {                          \
        if (!std::has_single_bit(alignment) || alignment % sizeof(void*) != 0) return EINVAL;                 \
        const int before = errno;                                                                             \
        const Served served = unknot_doors_1.allocate({.size = size, .alignment = alignment}, UNKNOT_CALLER); \
        if (!served.yes) return real.id(out, alignment, size);                                                \
        errno = before;                                                                                       \
        if (served.block == nullptr) return ENOMEM;                                                           \
        *out = served.block;                                                                                  \
        return 0;                                                                                             \
    }
#define UNKNOT_VENDOR_REALLOCATION(id, parameters, arguments, failure_, size_, alignment_, fill_, fresh_)      \
    UNKNOT_COLD void* id##_slow parameters {                                                                   \
        if (resizes_somewhere arguments) return real.id arguments;                                             \
        const auto fresh = [&]() -> void* { return fresh_; };                                                  \
        const Request request{.size = size_, .alignment = alignment_, .fill = fill_, .failure = failure_};     \
        const Served served = unknot_doors_1.reallocate(reallocation(pointer, request, fresh), UNKNOT_CALLER); \
        return served.yes ? served.block : real.id arguments;                                                  \
    }
#define UNKNOT_VENDOR_DEALLOCATION(id, parameters, arguments, row_, size_, alignment_) \
    UNKNOT_COLD void id##_slow parameters {                                            \
        const Deallocation call{pointer, DeallocationRow::row_, size_, alignment_};    \
        if (!unknot_doors_1.deallocate(call, UNKNOT_CALLER)) real.id arguments;        \
    }
#define UNKNOT_VENDOR_CALL(result, id, parameters, arguments, ours, locked) \
    UNKNOT_COLD result id##_slow parameters {                               \
        if (is_ours(pointer)) return ours;                                  \
        if (unknot_doors_1.must_divert(UNKNOT_CALLER)) return locked;       \
        return real.id arguments;                                           \
    }
// Under a loader lock the block may come from the arena or, over the budget, from the allocator: the promise is what
// either will keep. gperftools' own calloc clears as much as tc_nallocx says (2.10, src/tcmalloc.cc, do_calloc), and a
// promise of the arena's room overwrote the neighbours of a block of its own. Arithmetic, in all three: no lock.
#define UNKNOT_VENDOR_SIZE(id, parameters, arguments, size_)               \
    UNKNOT_COLD std::size_t id##_slow parameters {                         \
        const std::size_t allocators = real.id arguments;                  \
        if (!unknot_doors_1.must_divert(UNKNOT_CALLER)) return allocators; \
        const std::size_t arenas = round_up_16(size_);                     \
        return arenas < allocators ? arenas : allocators;                  \
    }
#include UNKNOT_VENDOR_ROWS

}  // namespace

// The doors.
#define UNKNOT_DOOR(result, id, parameters, arguments, slowly) \
    UNKNOT_EXPORT result id parameters asm(#id);               \
    result id parameters {                                     \
        if (slowly) return id##_slow arguments;                \
        return real.id arguments;                              \
    }
#define UNKNOT_VENDOR_ALLOCATION(id, parameters, arguments, ...) \
    UNKNOT_DOOR(void*, id, parameters, arguments, must_go_slow(thread_state))
#define UNKNOT_VENDOR_ALLOCATION_INTO(id)                                                               \
    UNKNOT_DOOR(int, id, (void** out, std::size_t alignment, std::size_t size), (out, alignment, size), \
                must_go_slow(thread_state))
#define UNKNOT_VENDOR_REALLOCATION(id, parameters, arguments, ...) \
    UNKNOT_DOOR(void*, id, parameters, arguments, is_ours(pointer) || must_go_slow(thread_state))
#define UNKNOT_VENDOR_DEALLOCATION(id, parameters, arguments, ...) \
    UNKNOT_DOOR(void, id, parameters, arguments, is_ours(pointer) || must_go_slow(thread_state))
#define UNKNOT_VENDOR_CALL(result, id, parameters, arguments, ...) \
    UNKNOT_DOOR(result, id, parameters, arguments, is_ours(pointer) || must_go_slow(thread_state))
#define UNKNOT_VENDOR_SIZE(id, parameters, arguments, ...) \
    UNKNOT_DOOR(std::size_t, id, parameters, arguments, must_go_slow(thread_state))
#define UNKNOT_VENDOR_PLACE(id)                                                      \
    UNKNOT_EXPORT int id(void* place, std::size_t count, std::size_t size) asm(#id); \
    int id(void* place, std::size_t count, std::size_t size) {                       \
        void** const at = static_cast<void**>(place);                                \
        if (at == nullptr) return errno = EINVAL;                                    \
        void* const moved = mi_reallocarray(*at, count, size);                       \
        if (moved == nullptr) return errno;                                          \
        *at = moved;                                                                 \
        return 0;                                                                    \
    }
#include UNKNOT_VENDOR_ROWS
#undef UNKNOT_DOOR

}  // namespace unknot
