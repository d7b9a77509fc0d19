// SPDX-License-Identifier: Apache-2.0
// What the start asks of texts, without libc's functions: a sanitizer interposes those too, and before its own start
// jumps through pointers that are not filled yet.
#pragma once

#include <cstddef>

#include "policy/settings.h"  // same()

namespace unknot {

constexpr bool starts_with(const char* text, const char* prefix) {
    while (*prefix != '\0' && *text == *prefix) ++text, ++prefix;
    return *prefix == '\0';
}

constexpr bool contains(const char* text, const char* part) {
    for (; *text != '\0'; ++text) {
        if (starts_with(text, part)) return true;
    }
    return *part == '\0';
}

// A path without its folders.
constexpr const char* base_name(const char* path) {
    const char* name = path;
    for (; *path != '\0'; ++path) {
        if (*path == '/') name = path + 1;
    }
    return name;
}

// Cut where it is too long.
template <std::size_t size>
constexpr void copy_text(char (&to)[size], const char* from) {
    std::size_t n = 0;
    for (; from[n] != '\0' && n + 1 < size; ++n) to[n] = from[n];
    to[n] = '\0';
}

// The N of "M.N"; 0: there is none.
constexpr unsigned minor_version(const char* version) {
    unsigned minor = 0;
    while (*version != '\0' && *version != '.') ++version;
    if (*version == '.') ++version;
    for (; *version >= '0' && *version <= '9'; ++version) minor = minor * 10 + static_cast<unsigned>(*version - '0');
    return minor;
}

static_assert(starts_with("libc.so.6", "libc.so") && !starts_with("lib", "libc"));
static_assert(contains("libtcmalloc_debug.so.4", "_debug") && !contains("libtcmalloc.so.4", "_debug"));
static_assert(same(base_name("/lib/a.so"), "a.so") && same(base_name("a.so"), "a.so"));
static_assert(minor_version("2.36") == 36 && minor_version("") == 0);

}  // namespace unknot
