// SPDX-License-Identifier: Apache-2.0
// One ELF file on disk, as far as the command asks: headers, dynamic entries, symbols by name and by address, and
// constant strings. The only place that parses ELF. Addresses are the file's own (no load bias).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

struct Elf;
struct Dwarf_CFI_s;

namespace unknot::cli {

struct ElfSymbol {
    std::string name;
    std::uint64_t address = 0;
    std::uint64_t size = 0;
    bool exported = false;  // in .dynsym
};

class ElfFile {
  public:
    // nullptr: not there, not readable, or not an ELF file; `why` then says which, in words.
    static std::shared_ptr<ElfFile> open(const std::string& path, std::string* why = nullptr);
    ~ElfFile();
    ElfFile(const ElfFile&) = delete;
    ElfFile& operator=(const ElfFile&) = delete;

    unsigned machine() const { return machine_; }  // EM_*
    bool is_64bit() const { return is_64bit_; }
    bool is_executable_type() const { return is_executable_type_; }  // ET_EXEC or ET_DYN
    const std::string& interpreter() const { return interpreter_; }  // empty: none (static, or a library)
    const std::string& soname() const { return soname_; }
    const std::vector<std::string>& needed() const { return needed_; }
    const std::string& build_id() const { return build_id_; }         // lower-case hex, empty: none
    std::uint64_t lowest_address() const { return lowest_address_; }  // of the PT_LOAD segments

    // In .dynsym: what other objects can bind to.
    bool exports(std::string_view name) const;
    bool imports(std::string_view name) const;
    // In .dynsym, else in .symtab (which may be stripped).
    std::optional<ElfSymbol> defined(std::string_view name) const;
    // The data or code symbol that covers `address`; of several names the dynamic one.
    std::optional<ElfSymbol> covering(std::uint64_t address) const;

    // Where the loader writes the address that `name` is bound to, for this file's own use of it.
    std::optional<std::uint64_t> slot_of(std::string_view name) const;
    // The address in this file that the word at `address` points at once the loader has relocated it.
    std::optional<std::uint64_t> points_at(std::uint64_t address) const;
    // How a frame leads to its caller (.eh_frame); nullptr: the file does not say.
    Dwarf_CFI_s* unwind_table() const;
    struct Range {
        std::uint64_t start = 0, end = 0;
        bool constant = false;  // read-only once relocated
    };
    std::vector<Range> writable_ranges() const;

    // Addresses at which the NUL-terminated `text` stands alone (after a NUL or at the section's start).
    std::vector<std::uint64_t> strings_equal_to(std::string_view text) const;
    // The first NUL-terminated string that begins with `prefix`, in any constant data section.
    std::string string_starting_with(std::string_view prefix) const;
    // Every string that stands alone there and that `accept` takes, each once.
    std::vector<std::string> strings_like(bool (*accept)(std::string_view)) const;

    // The first symbol whose name holds `part`, local ones too; empty: none.
    std::string symbol_with(std::string_view part) const;
    // False: stripped, so that a local symbol's absence says nothing.
    bool has_local_symbols() const;

  private:
    struct Constants {
        std::uint64_t address;
        std::string_view bytes;
    };
    ElfFile() = default;
    void read_headers();
    void read_dynamic(std::size_t section_index);
    void read_symbols(unsigned type) const;
    void read_static_symbols() const;

    int fd_ = -1;
    Elf* elf_ = nullptr;
    unsigned machine_ = 0;
    bool is_64bit_ = false;
    bool is_executable_type_ = false;
    std::string interpreter_, soname_, build_id_;
    std::vector<std::string> needed_;
    std::uint64_t lowest_address_ = 0;
    std::vector<Constants> constants_;
    // .symtab of a JVM has 100,000 names: read when somebody asks.
    mutable bool static_read_ = false;
    mutable bool has_local_symbols_ = false;
    mutable bool unwind_read_ = false;
    mutable Dwarf_CFI_s* unwind_ = nullptr;
    mutable std::unordered_map<std::string, ElfSymbol> defined_;
    mutable std::unordered_set<std::string> imports_;
    mutable std::map<std::uint64_t, ElfSymbol> by_address_;
};

}  // namespace unknot::cli
