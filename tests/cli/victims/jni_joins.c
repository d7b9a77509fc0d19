// SPDX-License-Identifier: Apache-2.0
// What System.load takes: its JNI_OnLoad loads what it is made of. (The interface needs no header: two pointers in, the
// version out, as the JNI specification, "Library and Version Management", has it.)
#include <dlfcn.h>
#include <stddef.h>

__attribute__((visibility("default"))) int JNI_OnLoad(void* vm, void* reserved) {
    (void)vm, (void)reserved;
    return dlopen("libcli_joins_in_constructor.so", RTLD_NOW) == NULL ? -1 : 0x00010008;
}
