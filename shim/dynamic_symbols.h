// SPDX-License-Identifier: Apache-2.0
// A function that a loaded object defines, found in its own hash table: dlsym would take the load lock. The caller sees
// to it that the object stays loaded meanwhile. Allocates nothing.
#pragma once

#include <link.h>

#include <cstddef>
#include <cstdint>

namespace [[gnu::visibility("hidden")]] unknot {

struct DynamicSymbol {
    std::uintptr_t start = 0;
    std::size_t bytes = 0;  // 0: it defines no such function
};

DynamicSymbol find_dynamic_symbol(const dl_phdr_info& object, const char* name);

}  // namespace unknot
