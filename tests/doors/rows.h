// SPDX-License-Identifier: Apache-2.0
// What the rows of the shim's tables mean to a program that calls the doors: names found at run time, and families.
#pragma once

#include <dlfcn.h>
#include <unistd.h>

#include <string_view>

#include "shim/system/sizes.h"
#include "tests/doors/doors.h"

namespace doors {

using unknot::next_power_of_two;
using unknot::only_power_of_two;
using unknot::product;

// The names that the rows use.
namespace Failure {
constexpr bool c = false;
constexpr bool cxx = true;
constexpr bool cxx_nothrow = false;
}  // namespace Failure
namespace Fill {
constexpr bool as_is = false;
constexpr bool zero = true;
}  // namespace Fill

inline std::size_t page_size() {
    return static_cast<std::size_t>(getpagesize());
}
inline std::size_t whole_pages(std::size_t size) {
    return size == 0 ? page_size() : (size + page_size() - 1) / page_size() * page_size();
}

constexpr bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

// Rows are called with alignments that every allocator takes.
constexpr std::size_t accepted_by_aligned_alloc(std::size_t alignment, std::size_t) {
    return alignment;
}

// By the mangled name, or by tcmalloc's, or by the name of a row.
constexpr Family family_of(std::string_view name) {
    const bool is_array = name.starts_with("_Zna") || name.starts_with("_Zda") || has(name, "array");
    const bool is_operator =
        name.starts_with("_Zn") || name.starts_with("_Zd") || has(name, "tc_new") || has(name, "delete");
    const bool is_aligned = has(name, "align");
    if (!is_operator) return is_aligned ? Family::c_aligned : Family::c;
    if (is_array) return is_aligned ? Family::cxx_array_aligned : Family::cxx_array;
    return is_aligned ? Family::cxx_aligned : Family::cxx;
}

// What the program's own calls of that name would bind to.
template <class Function>
Function* found(const char* symbol) {
    return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, symbol));
}

inline constexpr char nothrow_tag = 0;

}  // namespace doors
