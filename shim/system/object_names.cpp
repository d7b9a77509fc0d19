// SPDX-License-Identifier: Apache-2.0
#include "shim/system/object_names.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "shim/system/definitions.h"

namespace unknot {

namespace {

// struct dl_find_object as <dlfcn.h> of glibc 2.35 declares it on machines without an EH database pointer
// (DLFO_STRUCT_HAS_EH_DBASE 0: x86_64, aarch64). Spelled out here so that the shim builds against older headers.
struct FoundObject {
    unsigned long long flags;
    void* map_start;
    void* map_end;
    link_map* map;
    void* eh_frame;
    unsigned long long reserved[7];
};

using Finder = int (*)(void*, FoundObject*);
constinit Finder find_object = nullptr;

}  // namespace

void find_object_finder() {
    find_object = reinterpret_cast<Finder>(const_cast<void*>(first_definition("_dl_find_object").address));
}

void name_object(const void* address, WitnessRecord& record) {
    record.offset = 0;
    record.object[0] = '\0';
    FoundObject found{};
    if (find_object == nullptr || find_object(const_cast<void*>(address), &found) != 0) return;
    record.offset = reinterpret_cast<std::uintptr_t>(address) - found.map->l_addr;
    const char* name = found.map->l_name[0] != '\0' ? strrchr(found.map->l_name, '/') : "/(executable)";
    name = name != nullptr ? name + 1 : found.map->l_name;
    const std::size_t length = strlen(name);
    if (length >= sizeof record.object) name += length - (sizeof record.object - 1);
    strncpy(record.object, name, sizeof record.object - 1);
}

}  // namespace unknot
