// SPDX-License-Identifier: Apache-2.0
#include "tests/doors/doors.h"

#include <dlfcn.h>
#include <malloc.h>
#include <unistd.h>

#include <string_view>

#include "shim/sizes.h"

namespace unknot {
std::size_t page_size() {
    return static_cast<std::size_t>(getpagesize());
}
}  // namespace unknot

namespace doors {

namespace {

using unknot::next_power_of_two;
using unknot::only_power_of_two;
using unknot::page_size;
using unknot::product;
using unknot::whole_pages;

namespace Failure {
constexpr bool c = false;
constexpr bool cxx = true;
constexpr bool cxx_nothrow = false;
}  // namespace Failure
namespace Fill {
constexpr bool as_is = false;
constexpr bool zero = true;
}  // namespace Fill

const char nothrow_tag = 0;
const void* const tag = &nothrow_tag;

constexpr bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

constexpr Family family_of(std::string_view symbol) {
    const bool is_aligned = has(symbol, "St11align_val_t");
    if (symbol.starts_with("_Znw") || symbol.starts_with("_Zdl")) {
        return is_aligned ? Family::cxx_aligned : Family::cxx;
    }
    if (symbol.starts_with("_Zna") || symbol.starts_with("_Zda")) {
        return is_aligned ? Family::cxx_array_aligned : Family::cxx_array;
    }
    return has(symbol, "align") ? Family::c_aligned : Family::c;
}

// What the program's own calls of that name would bind to.
template <class Function>
Function* found(const char* symbol) {
    return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, symbol));
}

#define UNKNOT_ALLOCATION(id, symbol, parameters, ...) auto* const id = found<void * parameters>(symbol);
#define UNKNOT_ALLOCATION_INTO(id, symbol) auto* const id = found<int(void**, std::size_t, std::size_t)>(symbol);
#define UNKNOT_REALLOCATION(id, symbol, parameters, ...) auto* const id = found<void * parameters>(symbol);
#define UNKNOT_DEALLOCATION(id, symbol, parameters, ...) auto* const id = found<void parameters>(symbol);
#define UNKNOT_QUERY(id, symbol) auto* const id = found<std::size_t(void*)>(symbol);
namespace real {
#include "shim/entry_points.inc"
}  // namespace real

// C11 to C17 want a multiple of the alignment from aligned_alloc.
std::size_t rounded(std::size_t size, std::size_t alignment) {
    return size > SIZE_MAX / 2 ? size : (size + alignment - 1) / alignment * alignment;
}

constexpr bool takes_alignment(std::string_view parameters) {
    return has(parameters, "alignment");
}

void* into(int (*function)(void**, std::size_t, std::size_t), Wish wish) {
    void* block = nullptr;
    return function(&block, wish.alignment < 8 ? 8 : wish.alignment, wish.size) == 0 ? block : nullptr;
}

// clang-format off
const Allocation allocation_rows[] = {
#define UNKNOT_ALLOCATION(id, symbol, parameters, arguments, failure, size_, alignment_, fill)                     \
    {symbol, family_of(symbol), failure, fill, takes_alignment(#parameters),                                       \
     [](Wish wish) -> void* {                                                                                      \
         [[maybe_unused]] const std::size_t alignment = wish.alignment;                                            \
         [[maybe_unused]] constexpr std::size_t count = 3;                                                         \
         const std::size_t size = std::string_view(symbol) == "aligned_alloc" ? rounded(wish.size, alignment)      \
                                                                              : wish.size;                         \
         return real::id arguments;                                                                                \
     },                                                                                                            \
     []([[maybe_unused]] Wish wish) -> std::size_t {                                                               \
         [[maybe_unused]] const std::size_t size = wish.size;                                                      \
         [[maybe_unused]] constexpr std::size_t count = 3;                                                         \
         return size_;                                                                                             \
     },                                                                                                            \
     []([[maybe_unused]] Wish wish) -> std::size_t {                                                               \
         [[maybe_unused]] const std::size_t alignment = wish.alignment;                                            \
         return alignment_;                                                                                        \
     },                                                                                                            \
     real::id != nullptr},
#define UNKNOT_ALLOCATION_INTO(id, symbol)                                                                         \
    {symbol, Family::c_aligned, false, false, true, [](Wish wish) { return into(real::id, wish); },                \
     [](Wish wish) { return wish.size; }, [](Wish wish) { return wish.alignment; }, real::id != nullptr},
#define UNKNOT_REALLOCATION(id, ...)
#define UNKNOT_DEALLOCATION(id, ...)
#define UNKNOT_QUERY(id, ...)
#include "shim/entry_points.inc"
};

const Deallocation deallocation_rows[] = {
#define UNKNOT_ALLOCATION(id, ...)
#define UNKNOT_ALLOCATION_INTO(id, ...)
#define UNKNOT_REALLOCATION(id, ...)
#define UNKNOT_DEALLOCATION(id, symbol, parameters, arguments, ...)                                                \
    {symbol, family_of(symbol),                                                                                    \
     [](void* pointer, [[maybe_unused]] Wish wish) {                                                               \
         [[maybe_unused]] const std::size_t size = wish.size;                                                      \
         [[maybe_unused]] const std::size_t alignment = wish.alignment;                                            \
         real::id arguments;                                                                                       \
     },                                                                                                            \
     real::id != nullptr},
#define UNKNOT_QUERY(id, ...)
#include "shim/entry_points.inc"
};

const Reallocation reallocation_rows[] = {
#define UNKNOT_ALLOCATION(id, ...)
#define UNKNOT_ALLOCATION_INTO(id, ...)
#define UNKNOT_REALLOCATION(id, symbol, parameters, arguments, size_)                                              \
    {symbol,                                                                                                       \
     [](void* pointer, std::size_t size) -> void* {                                                                \
         [[maybe_unused]] constexpr std::size_t count = 1;                                                         \
         return real::id arguments;                                                                                \
     },                                                                                                            \
     real::id != nullptr},
#define UNKNOT_DEALLOCATION(id, ...)
#define UNKNOT_QUERY(id, ...)
#include "shim/entry_points.inc"
};
// clang-format on

}  // namespace

std::span<const Allocation> allocations() {
    return allocation_rows;
}
std::span<const Deallocation> deallocations() {
    return deallocation_rows;
}
std::span<const Reallocation> reallocations() {
    return reallocation_rows;
}

bool fits(const Allocation& allocation, const Deallocation& deallocation) {
    if (allocation.family == deallocation.family) return true;
    // free takes every block of the C family back; free_aligned_sized only what an aligned function made.
    return allocation.family == Family::c_aligned && deallocation.family == Family::c &&
           std::string_view(deallocation.name) != "free_sized";
}

std::size_t usable_size(void* pointer) {
    return malloc_usable_size(pointer);
}

}  // namespace doors
