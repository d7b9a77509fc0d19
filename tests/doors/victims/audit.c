// SPDX-License-Identifier: Apache-2.0
// An auditor (LD_AUDIT): ld.so calls it, in a namespace of its own, for every object and every binding.
#define _GNU_SOURCE
#include <link.h>
#include <stdlib.h>

static unsigned long seen;

unsigned la_version(unsigned version) {
    return version;
}

unsigned la_objopen(struct link_map* map, Lmid_t id, uintptr_t* cookie) {
    (void)map, (void)id, (void)cookie;
    free(malloc(100));
    ++seen;
    return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}

uintptr_t la_symbind64(Elf64_Sym* symbol, unsigned index, uintptr_t* from, uintptr_t* to, unsigned* flags,
                       const char* name) {
    (void)index, (void)from, (void)to, (void)flags, (void)name;
    ++seen;
    return symbol->st_value;
}
