// SPDX-License-Identifier: Apache-2.0
// Names and version banners of libraries, as they stand in the files.
#include "cli/judge/libc_facts.h"

#include <fmt/format.h>

#include <cstdlib>

namespace unknot::cli {
namespace {

// "2.36" after "version 2." in glibc's banner.
unsigned minor_in(const std::string& banner) {
    constexpr std::string_view before = "version 2.";
    const std::size_t at = banner.find(before);
    return at == std::string::npos
               ? 0
               : static_cast<unsigned>(std::strtoul(banner.c_str() + at + before.size(), nullptr, 10));
}

bool read_banner(const ElfFile& file, LibcFacts& facts) {
    const std::string banner = file.string_starting_with("GNU C Library (");
    facts.glibc_minor = minor_in(banner);
    if (facts.glibc_minor == 0) return false;
    facts.name = "glibc";
    facts.version = fmt::format("2.{}", facts.glibc_minor);
    const std::size_t open = banner.find('('), close = banner.find(')');
    if (open != std::string::npos && close != std::string::npos && close > open)
        facts.version += " " + banner.substr(open, close - open + 1);
    return true;
}

}  // namespace

// musl's loader and libc are one file, which names itself in its usage message.
static bool is_musl(const ElfFile& file) {
    return !file.string_starting_with("musl libc (").empty();
}

LibcFacts libc_of(const Objects& objects) {
    LibcFacts facts;
    facts.name = "unknown";
    for (const Object& object : objects.list) {
        if (object.exports("gnu_get_libc_version") && read_banner(*object.file, facts)) return facts;
        if (object.exports("__libc_start_main") && is_musl(*object.file)) facts.name = "musl";
    }
    const Object* executable = objects.executable();
    if (executable == nullptr || executable->file == nullptr || !executable->file->interpreter().empty()) return facts;
    facts.is_static = true;
    // No banner and no version there, but the variable that glibc reads at start cannot be left out.
    if (!read_banner(*executable->file, facts) && !executable->file->string_starting_with("GLIBC_TUNABLES").empty())
        facts.name = "glibc";
    if (facts.name == "unknown" && executable->file->defined("__init_libc")) facts.name = "musl";
    return facts;
}

}  // namespace unknot::cli
