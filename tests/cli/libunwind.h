// SPDX-License-Identifier: Apache-2.0
// What libunwind.so.8 is here. Debian's of 2026 (1.8.1, sid) no longer has what C++'s exceptions use, so nobody's
// _Unwind_Backtrace can be bound to it.
#pragma once

#include <dlfcn.h>
#include <link.h>

#include "cli/read/inspect_elf.h"

namespace unknot::test {

inline bool libunwind_is_taken_for_libgcc() {
    void* library = dlopen("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL);
    const link_map* map = nullptr;
    if (library == nullptr || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) return false;
    const auto file = cli::ElfFile::open(map->l_name);
    return file != nullptr && file->exports("_Unwind_Backtrace");
}

}  // namespace unknot::test
