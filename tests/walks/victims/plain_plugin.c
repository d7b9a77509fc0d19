// SPDX-License-Identifier: Apache-2.0
// Little to load, so that most of a dlopen and a dlclose is ld.so's own list.
int walks_plain_plugin[4096];

int walks_plain_function(void) {
    return walks_plain_plugin[1];
}
