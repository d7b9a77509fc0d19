// SPDX-License-Identifier: Apache-2.0
// Which of the objects of the start defines a name: what dlsym(RTLD_NEXT) and dlsym(RTLD_DEFAULT) say, asked of the
// loader's list and the objects' own tables. No lock, no allocation, and no function that somebody may have wrapped, so
// it can run inside the first malloc of a process. At start the list is in the order in which names are bound
// (glibc, elf/dl-deps.c: breadth first, as the global scope is). Two differences, both wanted:
//   a definition under a hidden version counts (libc_malloc_debug.so has malloc@GLIBC_2.2.5, which is what programs ask
//   for and dlsym does not find);
//   the PLT entry that a position-dependent executable gives a function's name is no definition.
// In a link-map list of its own (dlmopen) it is dlsym that answers.
#pragma once

#include <link.h>

#include "shim/system/dynamic_symbols.h"

namespace [[gnu::visibility("hidden")]] unknot {

struct Definition {
    const void* address = nullptr;     // nullptr: nobody defines it
    const link_map* object = nullptr;  // nullptr: not known
};

// What the program's references bind to.
Definition first_definition(const char* name);
// What comes after libunknot.so.
Definition next_definition(const char* name);
Definition definition_in(const link_map& object, const char* name);

// The object around this code; nullptr: not in the list.
const link_map* own_object();
const link_map* libc_object();

// The name of its file, without folders.
const char* file_name(const link_map& object);

}  // namespace unknot
