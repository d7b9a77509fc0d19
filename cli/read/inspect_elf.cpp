// SPDX-License-Identifier: Apache-2.0
// Reading ELF files through libelf. Nothing here trusts a file: what does not parse is simply not there.
#include "cli/read/inspect_elf.h"

#include <elfutils/libdw.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cli/read/kept_files.h"

namespace unknot::cli {
namespace {

// More than any constant data or symbol table seen (a browser's: 100 MiB), less than what hurts; a hole in a file costs
// its owner nothing.
constexpr std::uint64_t most_section_bytes = std::uint64_t{512} << 20;

}  // namespace

std::shared_ptr<ElfFile> ElfFile::open(const std::string& path, std::string* why) {
    static const bool ready = elf_version(EV_CURRENT) != EV_NONE;
    std::shared_ptr<ElfFile> file(new ElfFile);
    file->fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd_ < 0) {
        if (why != nullptr) *why = std::strerror(errno);
        return nullptr;
    }
    if (auto kept = KeptFiles::same_as(file->fd_)) return kept;
    // Not mapped: whoever may write to the file can make it shorter, and end whoever reads a mapping of it.
    if (ready) file->elf_ = elf_begin(file->fd_, ELF_C_READ, nullptr);
    if (file->elf_ == nullptr || elf_kind(file->elf_) != ELF_K_ELF) {
        if (why != nullptr) *why = "not an ELF file";
        return nullptr;
    }
    file->read_headers();
    KeptFiles::keep(file->fd_, file);
    return file;
}

ElfFile::~ElfFile() {
    if (unwind_ != nullptr) dwarf_cfi_end(unwind_);
    if (elf_ != nullptr) elf_end(elf_);
    if (fd_ >= 0) ::close(fd_);
}

void ElfFile::read_headers() {
    GElf_Ehdr header;
    if (gelf_getehdr(elf_, &header) == nullptr) return;
    machine_ = header.e_machine;
    is_64bit_ = gelf_getclass(elf_) == ELFCLASS64;
    is_executable_type_ = header.e_type == ET_EXEC || header.e_type == ET_DYN;

    std::size_t segments = 0;
    elf_getphdrnum(elf_, &segments);
    bool first_load = true;
    for (std::size_t i = 0; i < segments; ++i) {
        GElf_Phdr segment;
        if (gelf_getphdr(elf_, static_cast<int>(i), &segment) == nullptr) continue;
        if (segment.p_type == PT_LOAD && (first_load || segment.p_vaddr < lowest_address_)) {
            lowest_address_ = segment.p_vaddr;
            first_load = false;
        }
        if (segment.p_type == PT_INTERP) {
            Elf_Data* data =
                elf_getdata_rawchunk(elf_, static_cast<std::int64_t>(segment.p_offset), segment.p_filesz, ELF_T_BYTE);
            if (data != nullptr && data->d_size > 1) {
                interpreter_.assign(static_cast<const char*>(data->d_buf), data->d_size);
                interpreter_.resize(std::strlen(interpreter_.c_str()));
            }
        }
    }

    for (Elf_Scn* section = elf_nextscn(elf_, nullptr); section != nullptr; section = elf_nextscn(elf_, section)) {
        GElf_Shdr shape;
        if (gelf_getshdr(section, &shape) == nullptr) continue;
        if (shape.sh_size > most_section_bytes) continue;
        if (shape.sh_type == SHT_DYNAMIC) read_dynamic(elf_ndxscn(section));
        const bool constant = shape.sh_type == SHT_PROGBITS && (shape.sh_flags & SHF_ALLOC) != 0 &&
                              (shape.sh_flags & (SHF_WRITE | SHF_EXECINSTR)) == 0;
        if (constant || shape.sh_type == SHT_NOTE) {
            Elf_Data* data = elf_rawdata(section, nullptr);
            if (data == nullptr || data->d_buf == nullptr) continue;
            if (constant) constants_.push_back({shape.sh_addr, {static_cast<const char*>(data->d_buf), data->d_size}});
            if (shape.sh_type != SHT_NOTE || !build_id_.empty()) continue;
            GElf_Nhdr note;
            std::size_t name = 0, text = 0;
            data = elf_getdata(section, nullptr);
            for (std::size_t at = 0; data != nullptr && (at = gelf_getnote(data, at, &note, &name, &text)) != 0;) {
                if (note.n_type != NT_GNU_BUILD_ID) continue;
                for (std::size_t k = 0; k < note.n_descsz; ++k)
                    build_id_ += fmt::format("{:02x}", static_cast<const unsigned char*>(data->d_buf)[text + k]);
                break;
            }
        }
    }
    read_symbols(SHT_DYNSYM);
}

void ElfFile::read_dynamic(std::size_t section_index) {
    Elf_Scn* section = elf_getscn(elf_, section_index);
    GElf_Shdr shape;
    Elf_Data* data = elf_getdata(section, nullptr);
    if (data == nullptr || gelf_getshdr(section, &shape) == nullptr || shape.sh_entsize == 0) return;
    for (int i = 0; static_cast<std::size_t>(i) < shape.sh_size / shape.sh_entsize; ++i) {
        GElf_Dyn entry;
        if (gelf_getdyn(data, i, &entry) == nullptr || entry.d_tag == DT_NULL) break;
        if (entry.d_tag != DT_NEEDED && entry.d_tag != DT_SONAME) continue;
        const char* text = elf_strptr(elf_, shape.sh_link, entry.d_un.d_val);
        if (text == nullptr) continue;
        if (entry.d_tag == DT_NEEDED) needed_.emplace_back(text);
        if (entry.d_tag == DT_SONAME) soname_ = text;
    }
}

void ElfFile::read_symbols(unsigned type) const {
    for (Elf_Scn* section = elf_nextscn(elf_, nullptr); section != nullptr; section = elf_nextscn(elf_, section)) {
        GElf_Shdr shape;
        if (gelf_getshdr(section, &shape) == nullptr || shape.sh_type != type || shape.sh_entsize == 0) continue;
        if (shape.sh_size > most_section_bytes) continue;
        Elf_Data* data = elf_getdata(section, nullptr);
        if (data == nullptr) continue;
        for (int i = 0; static_cast<std::size_t>(i) < shape.sh_size / shape.sh_entsize; ++i) {
            GElf_Sym symbol;
            if (gelf_getsym(data, i, &symbol) == nullptr) break;
            const char* name = elf_strptr(elf_, shape.sh_link, symbol.st_name);
            if (name == nullptr || *name == '\0') continue;
            if (symbol.st_shndx == SHN_UNDEF) {
                imports_.insert(name);
                continue;
            }
            const unsigned kind = GELF_ST_TYPE(symbol.st_info);
            if (type == SHT_SYMTAB && kind == STT_FUNC && GELF_ST_BIND(symbol.st_info) == STB_LOCAL)
                has_local_symbols_ = true;
            if (kind != STT_OBJECT && kind != STT_FUNC && kind != STT_NOTYPE && kind != STT_GNU_IFUNC) continue;
            // Linker scripts and mapping symbols (aarch64 "$x") would hide the real names.
            if (symbol.st_value == 0 || *name == '$') continue;
            ElfSymbol entry{name, symbol.st_value, symbol.st_size, type == SHT_DYNSYM};
            if (kind != STT_NOTYPE) by_address_.try_emplace(symbol.st_value, entry);
            defined_.try_emplace(entry.name, std::move(entry));
        }
    }
}

void ElfFile::read_static_symbols() const {
    if (static_read_) return;
    static_read_ = true;
    read_symbols(SHT_SYMTAB);
}

bool ElfFile::exports(std::string_view name) const {
    const auto found = defined_.find(std::string(name));
    return found != defined_.end() && found->second.exported;
}

bool ElfFile::imports(std::string_view name) const {
    return imports_.contains(std::string(name));
}

std::optional<ElfSymbol> ElfFile::defined(std::string_view name) const {
    const std::string key(name);
    auto found = defined_.find(key);
    if (found == defined_.end() && !static_read_) {
        read_static_symbols();
        found = defined_.find(key);
    }
    if (found == defined_.end()) return std::nullopt;
    return found->second;
}

std::optional<ElfSymbol> ElfFile::covering(std::uint64_t address) const {
    read_static_symbols();
    auto after = by_address_.upper_bound(address);
    // A symbol without a size covers what follows it; a neighbour inside a bigger one (aliases) is rare enough.
    for (int steps = 0; after != by_address_.begin() && steps < 8; ++steps) {
        --after;
        const ElfSymbol& symbol = after->second;
        if (address < symbol.address + symbol.size || (symbol.size == 0 && address == symbol.address)) return symbol;
    }
    return std::nullopt;
}

std::optional<std::uint64_t> ElfFile::slot_of(std::string_view name) const {
    for (Elf_Scn* section = elf_nextscn(elf_, nullptr); section != nullptr; section = elf_nextscn(elf_, section)) {
        GElf_Shdr shape, symbols_shape;
        if (gelf_getshdr(section, &shape) == nullptr || shape.sh_type != SHT_RELA || shape.sh_entsize == 0) continue;
        if (shape.sh_size > most_section_bytes) continue;
        Elf_Scn* symbols = elf_getscn(elf_, shape.sh_link);
        if (symbols == nullptr || gelf_getshdr(symbols, &symbols_shape) == nullptr) continue;
        Elf_Data* rows = elf_getdata(section, nullptr);
        Elf_Data* table = elf_getdata(symbols, nullptr);
        if (rows == nullptr || table == nullptr || symbols_shape.sh_type != SHT_DYNSYM) continue;
        for (int i = 0; static_cast<std::size_t>(i) < shape.sh_size / shape.sh_entsize; ++i) {
            GElf_Rela row;
            GElf_Sym symbol;
            if (gelf_getrela(rows, i, &row) == nullptr) break;
            const auto index = static_cast<int>(GELF_R_SYM(row.r_info));
            if (index == 0 || gelf_getsym(table, index, &symbol) == nullptr) continue;
            const char* text = elf_strptr(elf_, symbols_shape.sh_link, symbol.st_name);
            if (text != nullptr && name == text) return row.r_offset;
        }
    }
    return std::nullopt;
}

std::optional<std::uint64_t> ElfFile::points_at(std::uint64_t address) const {
    const unsigned relative = machine_ == EM_AARCH64 ? R_AARCH64_RELATIVE : R_X86_64_RELATIVE;
    for (Elf_Scn* section = elf_nextscn(elf_, nullptr); section != nullptr; section = elf_nextscn(elf_, section)) {
        GElf_Shdr shape;
        if (gelf_getshdr(section, &shape) == nullptr || shape.sh_type != SHT_RELA || shape.sh_entsize == 0) continue;
        Elf_Data* rows = elf_getdata(section, nullptr);
        for (int i = 0; rows != nullptr && static_cast<std::size_t>(i) < shape.sh_size / shape.sh_entsize; ++i) {
            GElf_Rela row;
            if (gelf_getrela(rows, i, &row) == nullptr) break;
            if (row.r_offset == address && GELF_R_TYPE(row.r_info) == relative)
                return static_cast<std::uint64_t>(row.r_addend);
        }
    }
    return std::nullopt;
}

Dwarf_CFI_s* ElfFile::unwind_table() const {
    if (!unwind_read_) unwind_ = dwarf_getcfi_elf(elf_);
    unwind_read_ = true;
    return unwind_;
}

std::vector<ElfFile::Range> ElfFile::writable_ranges() const {
    std::vector<Range> found;
    std::size_t segments = 0;
    elf_getphdrnum(elf_, &segments);
    std::uint64_t constant_end = 0;  // what RELRO turns read-only after relocation
    GElf_Phdr segment;
    for (std::size_t i = 0; i < segments; ++i) {
        if (gelf_getphdr(elf_, static_cast<int>(i), &segment) != nullptr && segment.p_type == PT_GNU_RELRO)
            constant_end = segment.p_vaddr + segment.p_memsz;
    }
    for (std::size_t i = 0; i < segments; ++i) {
        if (gelf_getphdr(elf_, static_cast<int>(i), &segment) == nullptr || segment.p_type != PT_LOAD) continue;
        if ((segment.p_flags & PF_W) == 0) continue;
        Range range{segment.p_vaddr, segment.p_vaddr + segment.p_memsz};
        if (constant_end > range.start && constant_end <= range.end) {
            found.push_back({range.start, constant_end, true});
            range.start = constant_end;
        }
        found.push_back(range);
    }
    return found;
}

std::vector<std::uint64_t> ElfFile::strings_equal_to(std::string_view text) const {
    std::string wanted(text);
    wanted += '\0';
    std::vector<std::uint64_t> found;
    for (const auto& [address, bytes] : constants_) {
        for (std::size_t at = bytes.find(wanted); at != std::string_view::npos; at = bytes.find(wanted, at + 1)) {
            if (at == 0 || bytes[at - 1] == '\0') found.push_back(address + at);
        }
    }
    return found;
}

std::string ElfFile::string_starting_with(std::string_view prefix) const {
    for (const auto& [address, bytes] : constants_) {
        for (std::size_t at = bytes.find(prefix); at != std::string_view::npos; at = bytes.find(prefix, at + 1)) {
            const std::size_t end = bytes.find('\0', at);
            if (end != std::string_view::npos) return std::string(bytes.substr(at, end - at));
        }
    }
    return {};
}

std::vector<std::string> ElfFile::strings_like(bool (*accept)(std::string_view)) const {
    std::vector<std::string> found;
    for (const auto& [address, bytes] : constants_) {
        for (std::size_t at = 0; at < bytes.size();) {
            const std::size_t end = bytes.find('\0', at);
            if (end == std::string_view::npos) break;
            const std::string_view text = bytes.substr(at, end - at);
            if (!text.empty() && accept(text) && std::find(found.begin(), found.end(), text) == found.end())
                found.emplace_back(text);
            at = end + 1;
        }
    }
    return found;
}

std::string ElfFile::symbol_with(std::string_view part) const {
    read_static_symbols();
    for (const auto& [name, symbol] : defined_)
        if (name.find(part) != std::string::npos) return name;
    return {};
}

bool ElfFile::has_local_symbols() const {
    read_static_symbols();
    return has_local_symbols_;
}

}  // namespace unknot::cli
