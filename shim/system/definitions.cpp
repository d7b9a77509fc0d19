// SPDX-License-Identifier: Apache-2.0
#include "shim/system/definitions.h"

#include <dlfcn.h>

#include "shim/system/libc.h"
#include "shim/system/text.h"

namespace unknot {

// Where the linker puts it, in every object its own. (musl declares no such thing.)
extern "C" [[gnu::visibility("hidden")]] const ElfW(Dyn) own_dynamic_section[] asm("_DYNAMIC");

namespace {

Definition search_from(const link_map* object, const char* name) {
    for (; object != nullptr; object = object->l_next) {
        const Definition found = definition_in(*object, name);
        if (found.address != nullptr) return found;
    }
    return {};
}

Definition asked_of_loader(void* handle, const char* name) {
    const void* address = dlsym(handle, name);
    return address != nullptr ? Definition{.address = address, .object = object_of(address)} : Definition{};
}

}  // namespace

const link_map* libc_object() {
    if (own_object() == nullptr) return object_of(dlsym(RTLD_DEFAULT, only_in_libc));
    return search_from(first_loaded(), only_in_libc).object;
}

const link_map* own_object() {
    for (const link_map* object = first_loaded(); object != nullptr; object = object->l_next) {
        if (object->l_ld == own_dynamic_section) return object;
    }
    return nullptr;
}

const char* file_name(const link_map& object) {
    return base_name(object.l_name);
}

Definition definition_in(const link_map& object, const char* name) {
    if (object.l_ld == nullptr) return {};
    const DynamicSymbol symbol = find_dynamic_symbol(object.l_addr, object.l_ld, name);
    if (symbol.start == 0) return {};
    // Its resolver wants what the loader passes it: nobody's allocator does that.
    if (symbol.is_indirect) return {.address = dlsym(RTLD_NEXT, name), .object = &object};
    return {.address = reinterpret_cast<const void*>(symbol.start), .object = &object};
}

Definition first_definition(const char* name) {
    if (own_object() == nullptr) return asked_of_loader(RTLD_DEFAULT, name);
    return search_from(first_loaded(), name);
}

Definition next_definition(const char* name) {
    const link_map* self = own_object();
    if (self == nullptr) return asked_of_loader(RTLD_NEXT, name);
    return search_from(self->l_next, name);
}

}  // namespace unknot
