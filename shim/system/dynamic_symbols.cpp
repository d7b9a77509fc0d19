// SPDX-License-Identifier: Apache-2.0
#include "shim/system/dynamic_symbols.h"

#include "shim/system/text.h"

namespace unknot {

namespace {

struct Tables {
    std::uintptr_t base;
    const ElfW(Sym) * symbols = nullptr;
    const char* strings = nullptr;
    const std::uint32_t* gnu_hash = nullptr;
    const std::uint32_t* old_hash = nullptr;  // DT_HASH: what an object without the newer table has
    const ElfW(Half) * versions = nullptr;    // nullptr: it versions nothing

    Tables(std::uintptr_t at, const ElfW(Dyn) * entry) : base(at) {
        for (; entry->d_tag != DT_NULL; ++entry) {
            const auto value = entry->d_un.d_ptr;
            if (entry->d_tag == DT_SYMTAB) symbols = at_run_time<ElfW(Sym)>(base, value);
            if (entry->d_tag == DT_STRTAB) strings = at_run_time<char>(base, value);
            if (entry->d_tag == DT_GNU_HASH) gnu_hash = at_run_time<std::uint32_t>(base, value);
            if (entry->d_tag == DT_HASH) old_hash = at_run_time<std::uint32_t>(base, value);
            if (entry->d_tag == DT_VERSYM) versions = at_run_time<ElfW(Half)>(base, value);
        }
    }
};

// The best definition of one name so far.
class Search {
  public:
    Search(const Tables& tables, const char* name) : tables_(tables), name_(name) {}

    void consider(std::uint32_t index) {
        constexpr ElfW(Half) hidden = 0x8000;  // of a version that only old programs ask for (gABI, Solaris versions)
        const ElfW(Sym)& symbol = tables_.symbols[index];
        const unsigned type = symbol.st_info & 0xf;
        if (symbol.st_shndx == SHN_UNDEF || symbol.st_value == 0 || type == STT_TLS) return;
        if (!same(tables_.strings + symbol.st_name, name_)) return;
        const bool is_default = tables_.versions == nullptr || (tables_.versions[index] & hidden) == 0;
        if (found_.start != 0 && !is_default) return;
        found_ = {
            .start = tables_.base + symbol.st_value, .bytes = symbol.st_size, .is_indirect = type == STT_GNU_IFUNC};
    }
    const DynamicSymbol& found() const { return found_; }
    const char* name() const { return name_; }

  private:
    const Tables& tables_;
    const char* name_;
    DynamicSymbol found_{};
};

std::uint32_t gnu_hash(const char* name) {
    std::uint32_t hash = 5381;
    for (; *name != '\0'; ++name) hash = hash * 33 + static_cast<unsigned char>(*name);
    return hash;
}

// The layout of DT_GNU_HASH: four words (buckets, index of the first hashed symbol, words of the filter, shift), the
// filter, the buckets, and one chain word per symbol: its hash, whose lowest bit marks the end of a chain.
void search_gnu(const Tables& tables, Search& search) {
    const std::uint32_t bucket_count = tables.gnu_hash[0];
    if (bucket_count == 0) return;
    const std::uint32_t first_hashed = tables.gnu_hash[1];
    const std::uint32_t* buckets =
        tables.gnu_hash + 4 + tables.gnu_hash[2] * (sizeof(ElfW(Addr)) / sizeof(std::uint32_t));
    const std::uint32_t* chains = buckets + bucket_count;
    const std::uint32_t wanted = gnu_hash(search.name());
    for (std::uint32_t i = buckets[wanted % bucket_count]; i >= first_hashed && i != 0; ++i) {
        const std::uint32_t hash = chains[i - first_hashed];
        if ((hash | 1) == (wanted | 1)) search.consider(i);
        if ((hash & 1) != 0) break;
    }
}

}  // namespace

DynamicSymbol find_dynamic_symbol(std::uintptr_t base, const ElfW(Dyn) * dynamic, const char* name) {
    const Tables tables(base, dynamic);
    if (tables.symbols == nullptr || tables.strings == nullptr) return {};
    Search search(tables, name);
    if (tables.gnu_hash != nullptr) {
        search_gnu(tables, search);
    } else if (tables.old_hash != nullptr) {
        // Its second word is the number of symbols; such objects are few, so all are looked at.
        for (std::uint32_t i = 1; i < tables.old_hash[1]; ++i) search.consider(i);
    }
    return search.found();
}

DynamicSymbol find_dynamic_symbol(const dl_phdr_info& object, const char* name) {
    for (unsigned i = 0; i < object.dlpi_phnum; ++i) {
        const ElfW(Phdr)& header = object.dlpi_phdr[i];
        if (header.p_type != PT_DYNAMIC) continue;
        const auto* dynamic = reinterpret_cast<const ElfW(Dyn)*>(object.dlpi_addr + header.p_vaddr);
        return find_dynamic_symbol(object.dlpi_addr, dynamic, name);
    }
    return {};
}

// What an object does not define stands before all that its newer hash table has.
bool imports(const link_map& object, const char* name) {
    const Tables tables(object.l_addr, object.l_ld);
    if (tables.symbols == nullptr || tables.strings == nullptr) return false;
    const std::uint32_t* hash = tables.gnu_hash != nullptr ? tables.gnu_hash : tables.old_hash;
    for (std::uint32_t i = 1; hash != nullptr && i < hash[1]; ++i) {
        const ElfW(Sym)& symbol = tables.symbols[i];
        if (symbol.st_shndx == SHN_UNDEF && same(tables.strings + symbol.st_name, name)) return true;
    }
    return false;
}

}  // namespace unknot
