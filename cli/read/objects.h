// SPDX-License-Identifier: Apache-2.0
// The ELF objects of one process in the order in which the loader searches them, each with its file and load bias.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/read/inspect_elf.h"
#include "cli/read/inspect_proc.h"

namespace unknot::cli {

struct Object {
    std::string path;        // in the process's own root
    std::uint64_t bias = 0;  // address in the process minus address in the file
    std::uint64_t start = 0;
    // Its mappings. Something else may lie between two of them: a large alignment leaves room, and the kernel puts the
    // vDSO there (aarch64, Linux 6.1: between the segments of ld.so).
    struct Extent {
        std::uint64_t start, end;
    };
    std::vector<Extent> extents;
    bool deleted = false;           // the file at that path is another one now, or none
    std::shared_ptr<ElfFile> file;  // nullptr: could not be read, `unreadable` says why
    std::string unreadable;
    std::string name() const { return path.substr(path.rfind('/') + 1); }
    bool contains(std::uint64_t address) const {
        return std::any_of(extents.begin(), extents.end(),
                           [address](const Extent& extent) { return address >= extent.start && address < extent.end; });
    }
    bool exports(std::string_view symbol) const { return file != nullptr && file->exports(symbol); }
};

struct Objects {
    std::vector<Object> list;
    bool order_known = false;       // from the loader's own list; otherwise guessed from the addresses
    std::uint64_t loader_base = 0;  // of ld.so; 0: static program, or not known

    const Object* executable() const { return list.empty() ? nullptr : list.data(); }
    const Object* first_exporting(std::string_view symbol, const Object* after = nullptr) const;
    const Object* containing(std::uint64_t address) const;
    const Object* loader() const;

    // "symbol", "symbol+0x10 (file)", "file+0x123", or the bare address.
    std::string describe(std::uint64_t address, bool is_return = false) const;
};

Objects objects_of(const Process& process, const std::vector<Mapping>& mappings);

// C++ names made readable; others unchanged.
std::string readable(const std::string& symbol);

}  // namespace unknot::cli
