// SPDX-License-Identifier: Apache-2.0
// What a loaded object defines, found in its own hash table: dlsym would take the load lock, may allocate, and may be
// somebody's wrapper. The caller sees to it that the object stays loaded meanwhile. Allocates nothing, calls nobody.
#pragma once

#include <link.h>

#include <cstddef>
#include <cstdint>

namespace [[gnu::visibility("hidden")]] unknot {

struct DynamicSymbol {
    std::uintptr_t start = 0;  // 0: it defines no such function
    std::size_t bytes = 0;
    // A function (STT_GNU_IFUNC) has to be called for the address.
    bool is_indirect = false;
};

// Where an address in the dynamic section leads. glibc relocates these in place (elf_get_dynamic_info) unless the
// section is read-only; musl never does.
template <class Thing>
const Thing* at_run_time(std::uintptr_t base, std::uintptr_t value) {
    return reinterpret_cast<const Thing*>(value < base ? value + base : value);
}
template <class Thing>
const Thing* at_run_time(const dl_phdr_info& object, std::uintptr_t value) {
    return at_run_time<Thing>(object.dlpi_addr, value);
}

// In whatever version: a default version rather than a hidden one, where it has several.
DynamicSymbol find_dynamic_symbol(const dl_phdr_info& object, const char* name);
DynamicSymbol find_dynamic_symbol(std::uintptr_t base, const ElfW(Dyn) * dynamic, const char* name);

// Does it want that symbol from another object?
bool imports(const link_map& object, const char* name);

}  // namespace unknot
