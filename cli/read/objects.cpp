// SPDX-License-Identifier: Apache-2.0
// Which objects a process has loaded, and in which order. The order is the loader's (r_debug, link_map), read from the
// process's memory; a list that is being changed at that moment may be cut short, never endless.
#include "cli/read/objects.h"

#include <cxxabi.h>
#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <unordered_set>

namespace unknot::cli {
namespace {

constexpr int most_objects = 20000;

// One ElfFile per file, however often it is mapped.
using Files = std::map<std::string, std::shared_ptr<ElfFile>>;

void open_file(const Process& process, Object& object, Files& files) {
    auto& file = files[object.path + (object.deleted ? " (deleted)" : "")];
    // The path first: map_files reaches deleted and replaced files too, but asks for more permissions.
    if (file == nullptr && !object.deleted) file = ElfFile::open(process.outside_path(object.path), &object.unreadable);
    if (file == nullptr)
        file = ElfFile::open(process.mapped_file(object.start, object.extents.front().end),
                             object.deleted ? nullptr : &object.unreadable);
    if (file == nullptr && object.deleted) object.unreadable = "deleted or replaced on disk";
    object.file = file;
}

// Every file that has code mapped, by its lowest address. An object begins with the first page of its file and goes on
// with neighbours of the same file; a file that is mapped again (dlmopen, or as data) begins another.
std::vector<Object> from_mappings(const Process& process, const std::vector<Mapping>& mappings) {
    std::vector<Object> found;
    std::vector<bool> has_code;
    for (const Mapping& mapping : mappings) {
        const bool goes_on = !found.empty() && found.back().path == mapping.path && mapping.offset != 0;
        // .bss lies in an anonymous mapping right behind.
        const bool is_bss = !found.empty() && mapping.path.empty() && mapping.writable &&
                            found.back().extents.back().end == mapping.start;
        if (goes_on || is_bss) {
            found.back().extents.push_back({mapping.start, mapping.end});
            has_code.back() = has_code.back() || (mapping.executable && goes_on);
            continue;
        }
        if (!mapping.path.starts_with('/') || mapping.offset != 0) continue;
        Object object;
        object.path = mapping.path;
        object.deleted = mapping.deleted;
        object.start = mapping.start;
        object.extents.push_back({mapping.start, mapping.end});
        found.push_back(std::move(object));
        has_code.push_back(mapping.executable);
    }
    Files files;
    std::vector<Object> objects;
    for (std::size_t i = 0; i < found.size(); ++i) {
        Object& object = found[i];
        if (!has_code[i]) continue;
        open_file(process, object, files);
        if (object.file == nullptr && object.unreadable == "not an ELF file") continue;
        if (object.file != nullptr) object.bias = object.start - (object.file->lowest_address() & ~std::uint64_t{4095});
        objects.push_back(std::move(object));
    }
    return objects;
}

std::optional<std::uint64_t> link_map_start(const Process& process) {
    const auto headers = process.auxiliary(AT_PHDR), count = process.auxiliary(AT_PHNUM);
    if (!headers || !count || *count > 1024) return std::nullopt;
    std::uint64_t bias = 0, dynamic = 0;
    bool has_dynamic = false;
    for (std::uint64_t i = 0; i < *count; ++i) {
        const auto header = process.read<Elf64_Phdr>(*headers + i * sizeof(Elf64_Phdr));
        if (!header) return std::nullopt;
        if (header->p_type == PT_PHDR) bias = *headers - header->p_vaddr;
        if (header->p_type == PT_DYNAMIC) dynamic = header->p_vaddr, has_dynamic = true;
    }
    if (!has_dynamic) return std::nullopt;
    for (std::uint64_t at = bias + dynamic, n = 0; n < 1024; at += sizeof(Elf64_Dyn), ++n) {
        const auto entry = process.read<Elf64_Dyn>(at);
        if (!entry || entry->d_tag == DT_NULL) return std::nullopt;
        if (entry->d_tag != DT_DEBUG || entry->d_un.d_ptr == 0) continue;
        const auto debug = process.read<r_debug>(entry->d_un.d_ptr);
        if (!debug) return std::nullopt;
        return reinterpret_cast<std::uint64_t>(debug->r_map);
    }
    return std::nullopt;
}

}  // namespace

const Object* Objects::first_exporting(std::string_view symbol, const Object* after) const {
    bool passed = after == nullptr;
    for (const Object& object : list) {
        if (passed && object.exports(symbol)) return &object;
        if (&object == after) passed = true;
    }
    return nullptr;
}

const Object* Objects::containing(std::uint64_t address) const {
    for (const Object& object : list)
        if (object.contains(address)) return &object;
    return nullptr;
}

const Object* Objects::loader() const {
    for (const Object& object : list)
        if (object.exports("_rtld_global")) return &object;
    return nullptr;
}

std::string Objects::describe(std::uint64_t address, bool is_return) const {
    // A return address may be the first byte of the next function: the call lies before it.
    const std::uint64_t back = is_return ? 1 : 0;
    const Object* object = containing(address - back);
    if (object == nullptr) return fmt::format("{:#x}", address);
    const std::uint64_t inside = address - object->bias;
    if (object->file != nullptr) {
        if (const auto symbol = object->file->covering(inside - back)) {
            const std::uint64_t into = inside - symbol->address;
            const std::string name = readable(symbol->name);
            return into == 0 ? fmt::format("{} ({})", name, object->name())
                             : fmt::format("{}+{:#x} ({})", name, into, object->name());
        }
    }
    return fmt::format("{}+{:#x}", object->name(), inside);
}

Objects objects_of(const Process& process, const std::vector<Mapping>& mappings) {
    Objects objects;
    std::vector<Object> mapped = from_mappings(process, mappings);
    objects.loader_base = process.auxiliary(AT_BASE).value_or(0);
    std::vector<bool> taken(mapped.size(), false);

    const auto first = link_map_start(process);
    std::uint64_t at = first.value_or(0);
    for (int n = 0; at != 0 && n < most_objects; ++n) {
        const auto entry = process.read<link_map>(at);
        if (!entry) break;
        // Matched by where its dynamic section lies: names in the list are what the program asked for, not files.
        const auto dynamic = reinterpret_cast<std::uint64_t>(entry->l_ld);
        for (std::size_t i = 0; i < mapped.size(); ++i) {
            if (taken[i] || !mapped[i].contains(dynamic)) continue;
            taken[i] = true;
            mapped[i].bias = entry->l_addr;
            objects.list.push_back(mapped[i]);
            break;
        }
        at = reinterpret_cast<std::uint64_t>(entry->l_next);
    }
    objects.order_known = !objects.list.empty();

    // What the list does not name (or all of it): the executable first, then downwards, as the kernel hands out
    // addresses from the top and the loader takes preloaded objects first.
    std::vector<Object> rest;
    for (std::size_t i = 0; i < mapped.size(); ++i)
        if (!taken[i]) rest.push_back(mapped[i]);
    const std::string executable = process.executable();
    std::stable_sort(rest.begin(), rest.end(), [&](const Object& a, const Object& b) {
        const bool a_first = a.path == executable, b_first = b.path == executable;
        return a_first != b_first ? a_first : a.start > b.start;
    });
    objects.list.insert(objects.list.end(), rest.begin(), rest.end());
    return objects;
}

std::string readable(const std::string& symbol) {
    int status = -1;
    char* text = abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status);
    std::string result = status == 0 && text != nullptr ? std::string(text) : symbol;
    std::free(text);
    constexpr std::size_t longest = 200;
    if (result.size() > longest) {
        result.resize(longest);
        result += "...";
    }
    return result;
}

}  // namespace unknot::cli
