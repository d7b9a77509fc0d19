// SPDX-License-Identifier: Apache-2.0
// Collects the symbols of every mapped library, the way async-profiler builds of August 2024 to April 2025 did: inside
// one dl_iterate_phdr callback, so that no library can go away meanwhile. Names come from malloc, arrays grow with
// operator new, all of it under the loader lock (async-profiler issues 1147 and 1151; mended there in 4.0).
#pragma once

#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>

namespace symbols {

// An array that doubles through operator new[]. std::vector would do; here the allocation is the point.
template <class T>
class Growing {
  public:
    Growing() = default;
    ~Growing() { delete[] items_; }
    Growing(const Growing&) = delete;
    Growing& operator=(const Growing&) = delete;

    void add(const T& item) {
        if (used_ == room_) {
            room_ *= 2;
            T* larger = new T[room_];
            for (std::size_t i = 0; i < used_; ++i) larger[i] = items_[i];
            delete[] std::exchange(items_, larger);
        }
        items_[used_++] = item;
    }
    std::span<const T> all() const { return {items_, used_}; }

  private:
    // Made before the walk, outgrown and deleted inside it.
    std::size_t room_ = 256;
    std::size_t used_ = 0;
    T* items_ = new T[room_];
};

struct Symbol {
    char* name;
    std::uintptr_t address;
};

struct Symbols {
    Growing<Symbol> found;
    std::size_t libraries = 0;
    ~Symbols() {
        for (const Symbol& symbol : found.all()) std::free(symbol.name);
    }
};

// A file mapped for reading, for as long as it is parsed.
class MappedFile {
  public:
    explicit MappedFile(const char* path) {
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat facts {};
        if (fd >= 0 && fstat(fd, &facts) == 0 && facts.st_size > 0) {
            bytes_ = static_cast<std::size_t>(facts.st_size);
            start_ = mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, fd, 0);
        }
        if (fd >= 0) close(fd);
    }
    ~MappedFile() {
        if (start_ != MAP_FAILED) munmap(start_, bytes_);
    }
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    // `count` objects of type T at `offset`; nullptr where the file is too short for them.
    template <class T>
    const T* at(std::size_t offset, std::size_t count = 1) const {
        if (start_ == MAP_FAILED || offset > bytes_ || count > (bytes_ - offset) / sizeof(T)) return nullptr;
        return reinterpret_cast<const T*>(static_cast<const char*>(start_) + offset);
    }

  private:
    void* start_ = MAP_FAILED;
    std::size_t bytes_ = 0;
};

inline void add_table(const MappedFile& file, const ElfW(Shdr) & table, const ElfW(Shdr) & names, std::uintptr_t base,
                      Growing<Symbol>& found) {
    const std::size_t count = table.sh_size / sizeof(ElfW(Sym));
    const auto* symbols = file.at<ElfW(Sym)>(table.sh_offset, count);
    const char* text = file.at<char>(names.sh_offset, names.sh_size);
    if (symbols == nullptr || text == nullptr) return;
    for (const ElfW(Sym) & symbol : std::span(symbols, count)) {
        if (symbol.st_value == 0 || symbol.st_name >= names.sh_size) continue;
        const std::size_t length = strnlen(text + symbol.st_name, names.sh_size - symbol.st_name);
        auto* name = static_cast<char*>(std::malloc(length + 1));
        if (name == nullptr) return;
        std::memcpy(name, text + symbol.st_name, length);
        name[length] = '\0';
        found.add({name, base + symbol.st_value});
    }
}

inline void add_library(const char* path, std::uintptr_t base, Symbols& symbols) {
    const MappedFile file(path);
    const auto* header = file.at<ElfW(Ehdr)>(0);
    if (header == nullptr || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return;
    const auto* sections = file.at<ElfW(Shdr)>(header->e_shoff, header->e_shnum);
    if (sections == nullptr) return;
    ++symbols.libraries;
    for (const ElfW(Shdr) & section : std::span(sections, header->e_shnum)) {
        const bool is_symbols = section.sh_type == SHT_SYMTAB || section.sh_type == SHT_DYNSYM;
        if (is_symbols && section.sh_link < header->e_shnum) {
            add_table(file, section, sections[section.sh_link], base, symbols.found);
        }
    }
}

// Every file that is mapped from its beginning. Called by dl_iterate_phdr, that is: owning the loader lock.
inline int collect(dl_phdr_info*, std::size_t, void* data) {
    auto& symbols = *static_cast<Symbols*>(data);
    FILE* maps = std::fopen("/proc/self/maps", "r");
    if (maps == nullptr) return 1;
    char* line = nullptr;
    std::size_t room = 0;
    while (getline(&line, &room, maps) > 0) {
        unsigned long start = 0;
        unsigned long offset = 1;
        int path = 0;
        if (std::sscanf(line, "%lx-%*x %*s %lx %*s %*s %n", &start, &offset, &path) != 2 || offset != 0) continue;
        if (line[path] != '/' || std::strstr(line, " (deleted)") != nullptr) continue;
        line[std::strcspn(line, "\n")] = '\0';
        add_library(line + path, start, symbols);
    }
    std::free(line);
    std::fclose(maps);
    return 1;  // the first call has seen them all
}

}  // namespace symbols
