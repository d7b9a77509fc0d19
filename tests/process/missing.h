// SPDX-License-Identifier: Apache-2.0
// Which of the allocators that the tests know a system goes without: Debian 11 has no mimalloc. UNKNOT_MIMALLOC is the
// soname that cmake has found (tests/CMakeLists.txt).
#pragma once

#include <string_view>

namespace unknot::process {

inline bool is_missing(std::string_view soname) {
    return soname == "libmimalloc.so.none";
}

}  // namespace unknot::process
