// SPDX-License-Identifier: Apache-2.0
// The new LD_PRELOAD: shim, allocator, then what was there in its own order.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/read/program.h"

namespace unknot::cli {

struct PreloadList {
    std::vector<std::string> entries;
    bool has_allocator = false;  // entries[1] is the one that was asked for
    std::string text() const;    // with colons
};

// `allocator`: a name (tcmalloc, ...), a path, or empty. It replaces preloaded allocators; without one they stay,
// behind the shim. Throws Trouble for a name that is not known and a path with a character that LD_PRELOAD cannot hold.
PreloadList make_preload(std::string_view was, const std::string& shim, const std::string& allocator);
// Asks the loader of that program whether it would really take the shim and the allocator. Throws Trouble.
void check_preload(const Program& program, const PreloadList& list);

// The file of this command itself, by its real name.
std::string own_path();

// The sonames of all that run --allocator has names for.
std::vector<std::string> known_allocators();

// --library, UNKNOT_LIBRARY, then from this executable: its own folder, where it was installed beside, ../lib,
// ../lib/<triplet>, ../lib64. Throws Trouble.
std::string find_shim_library(const std::string& asked);

}  // namespace unknot::cli
