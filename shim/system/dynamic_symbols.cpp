// SPDX-License-Identifier: Apache-2.0
#include "shim/system/dynamic_symbols.h"

#include <string.h>

namespace unknot {

namespace {

struct Tables {
    const ElfW(Sym) * symbols = nullptr;
    const char* strings = nullptr;
    const std::uint32_t* hash = nullptr;

    bool complete() const { return symbols != nullptr && strings != nullptr && hash != nullptr; }
};

Tables tables_of(const dl_phdr_info& object) {
    Tables found;
    for (unsigned i = 0; i < object.dlpi_phnum; ++i) {
        if (object.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
        const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(object.dlpi_addr + object.dlpi_phdr[i].p_vaddr);
        for (; entry->d_tag != DT_NULL; ++entry) {
            const auto value = entry->d_un.d_ptr;
            if (entry->d_tag == DT_SYMTAB) found.symbols = at_run_time<ElfW(Sym)>(object, value);
            if (entry->d_tag == DT_STRTAB) found.strings = at_run_time<char>(object, value);
            if (entry->d_tag == DT_GNU_HASH) found.hash = at_run_time<std::uint32_t>(object, value);
        }
    }
    return found;
}

std::uint32_t gnu_hash(const char* name) {
    std::uint32_t hash = 5381;
    for (; *name != '\0'; ++name) hash = hash * 33 + static_cast<unsigned char>(*name);
    return hash;
}

}  // namespace

// The layout of DT_GNU_HASH: four words (buckets, index of the first hashed symbol, words of the filter, shift), the
// filter, the buckets, and one chain word per symbol: its hash, whose lowest bit marks the end of a chain.
DynamicSymbol find_dynamic_symbol(const dl_phdr_info& object, const char* name) {
    const Tables tables = tables_of(object);
    if (!tables.complete() || tables.hash[0] == 0) return {};
    const std::uint32_t bucket_count = tables.hash[0];
    const std::uint32_t first_hashed = tables.hash[1];
    const std::uint32_t* buckets = tables.hash + 4 + tables.hash[2] * (sizeof(ElfW(Addr)) / sizeof(std::uint32_t));
    const std::uint32_t* chains = buckets + bucket_count;
    const std::uint32_t wanted = gnu_hash(name);
    for (std::uint32_t i = buckets[wanted % bucket_count]; i >= first_hashed; ++i) {
        const std::uint32_t hash = chains[i - first_hashed];
        const ElfW(Sym)& symbol = tables.symbols[i];
        if ((hash | 1) == (wanted | 1) && symbol.st_shndx != SHN_UNDEF &&
            strcmp(tables.strings + symbol.st_name, name) == 0) {
            return {.start = object.dlpi_addr + symbol.st_value, .bytes = symbol.st_size};
        }
        if ((hash & 1) != 0) break;
    }
    return {};
}

// What an object does not define is not in the hash table, and stands before all that is.
bool imports(const dl_phdr_info& object, const char* name) {
    const Tables tables = tables_of(object);
    if (!tables.complete()) return false;
    for (std::uint32_t i = 1; i < tables.hash[1]; ++i) {
        const ElfW(Sym)& symbol = tables.symbols[i];
        if (symbol.st_shndx == SHN_UNDEF && strcmp(tables.strings + symbol.st_name, name) == 0) return true;
    }
    return false;
}

}  // namespace unknot
