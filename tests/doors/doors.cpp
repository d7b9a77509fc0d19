// SPDX-License-Identifier: Apache-2.0
#include "tests/doors/doors.h"

#include <malloc.h>

#include <cstdlib>
#include <sstream>
#include <string>

#include "tests/doors/rows.h"

namespace doors {

namespace {

namespace standard_rows {
#include "tests/doors/standard_rows.inc"
}
namespace jemalloc_rows {
#define UNKNOT_VENDOR_ROWS "shim/doors/vendor/jemalloc.inc"
#include "tests/doors/vendor_rows.inc"
#undef UNKNOT_VENDOR_ROWS
}  // namespace jemalloc_rows
namespace tcmalloc_rows {
#define UNKNOT_VENDOR_ROWS "shim/doors/vendor/tcmalloc.inc"
#include "tests/doors/vendor_rows.inc"
#undef UNKNOT_VENDOR_ROWS
}  // namespace tcmalloc_rows
namespace mimalloc_rows {
#define UNKNOT_VENDOR_ROWS "shim/doors/vendor/mimalloc.inc"
#include "tests/doors/vendor_rows.inc"
#undef UNKNOT_VENDOR_ROWS
}  // namespace mimalloc_rows

template <class Door>
void erase(std::vector<Door>& doors, const std::string& name) {
    std::erase_if(doors, [&](const Door& door) { return name == door.name; });
}

// UNKNOT_WITHOUT_DOORS: names that this run leaves out, with blanks between them.
Doors without_unwanted(Doors doors) {
    const char* given = std::getenv("UNKNOT_WITHOUT_DOORS");
    std::istringstream names(given != nullptr ? given : "");
    for (std::string name; names >> name;) {
        erase(doors.allocations, name);
        erase(doors.deallocations, name);
        erase(doors.reallocations, name);
    }
    return doors;
}

}  // namespace

const Doors& standard() {
    static const Doors doors = without_unwanted(standard_rows::doors());
    return doors;
}

const Doors& vendors() {
    static const Doors doors = [] {
        if (found<void()>("mallocx") != nullptr) return without_unwanted(jemalloc_rows::doors());
        if (found<void()>("tc_malloc") != nullptr) return without_unwanted(tcmalloc_rows::doors());
        if (found<void()>("mi_malloc") != nullptr) return without_unwanted(mimalloc_rows::doors());
        return Doors{};
    }();
    return doors;
}

bool fits(const Allocation& allocation, const Deallocation& deallocation) {
    // A size alone says which class only where no alignment had its say (jemalloc from 5.3.1 on takes free_sized's word
    // for it, and breaks over what mallocx has aligned); what an aligned function of C made is for free.
    const bool is_plain = has(allocation.name, "malloc") || has(allocation.name, "calloc");
    const bool may_be_aligned = allocation.takes_alignment && !deallocation.wants_alignment;
    if (deallocation.wants_size && allocation.family <= Family::c_aligned && (!is_plain || may_be_aligned))
        return false;
    if (allocation.family == deallocation.family) return true;
    return allocation.family == Family::c_aligned && deallocation.family == Family::c && !deallocation.wants_size;
}

std::size_t usable_size(void* pointer) {
    return malloc_usable_size(pointer);
}

}  // namespace doors
