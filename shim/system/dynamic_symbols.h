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

// Where an address in the dynamic section leads. glibc relocates these in place (elf_get_dynamic_info) unless the
// section is read-only; musl never does.
template <class Thing>
const Thing* at_run_time(const dl_phdr_info& object, std::uintptr_t value) {
    return reinterpret_cast<const Thing*>(value < object.dlpi_addr ? value + object.dlpi_addr : value);
}

DynamicSymbol find_dynamic_symbol(const dl_phdr_info& object, const char* name);

// Does it want that symbol from another object?
bool imports(const dl_phdr_info& object, const char* name);

}  // namespace unknot
