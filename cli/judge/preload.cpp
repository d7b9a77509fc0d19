// SPDX-License-Identifier: Apache-2.0
// LD_PRELOAD is a list separated by colons or spaces, without any quoting (ld.so(8)).
#include "cli/judge/preload.h"

#include <fmt/format.h>
#include <fmt/ranges.h>  // join: format.h has it up to fmt 10 only
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

struct NamedAllocator {
    const char* name;
    const char* soname;
    const char* package;  // Debian's
};
constexpr NamedAllocator named_allocators[] = {
    {"tcmalloc", "libtcmalloc.so.4", "libgoogle-perftools4"},
    {"tcmalloc_minimal", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"},
    {"mimalloc", "libmimalloc.so.2", "libmimalloc2.0"},
    {"mimalloc", "libmimalloc.so.3", "libmimalloc3"},  // from Debian 13
    {"jemalloc", "libjemalloc.so.2", "libjemalloc2"},
};

std::string file_name(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

bool is_allocator(const std::string& entry) {
    const std::string name = file_name(entry);
    return name.starts_with("libtcmalloc") || name.starts_with("libjemalloc") || name.starts_with("libmimalloc");
}

// Of several sonames under one name the one that is installed where distributions put it; else the first, which the
// check before the start will miss.
const char* soname_of(const std::string& name) {
    const char* first = nullptr;
    for (const NamedAllocator& each : named_allocators) {
        if (name != each.name) continue;
        if (first == nullptr) first = each.soname;
        for (const char* folder : {"/usr/lib/" UNKNOT_TRIPLET "/", "/usr/lib64/", "/usr/lib/"})
            if (access((std::string(folder) + each.soname).c_str(), R_OK) == 0) return each.soname;
    }
    return first;
}

std::string allocator_entry(const std::string& asked) {
    if (const char* soname = soname_of(asked)) return soname;
    if (asked.find('/') == std::string::npos)
        throw Trouble(
            fmt::format("--allocator {}: not known; tcmalloc, tcmalloc_minimal, mimalloc, jemalloc, or a path "
                        "with a slash; nothing was started",
                        asked));
    char* real = realpath(asked.c_str(), nullptr);
    if (real == nullptr)
        throw Trouble(fmt::format("--allocator {}: {}; nothing was started", asked, std::strerror(errno)));
    std::string path = real;
    std::free(real);
    return path;
}

}  // namespace

std::string PreloadList::text() const {
    std::string joined;
    for (const std::string& entry : entries) joined += (joined.empty() ? "" : ":") + entry;
    return joined;
}

PreloadList make_preload(std::string_view was, const std::string& shim, const std::string& allocator) {
    PreloadList list;
    list.entries.push_back(shim);
    if (!allocator.empty()) {
        list.entries.push_back(allocator_entry(allocator));
        list.has_allocator = true;
    }
    for (const std::string& entry : list.entries)
        if (entry.find_first_of(" :") != std::string::npos)
            throw Trouble(
                fmt::format("{}: LD_PRELOAD cannot hold a path with a space or a colon; nothing was started", entry));
    for (std::size_t from = 0; from < was.size();) {
        const std::size_t to = std::min(was.find_first_of(" :", from), was.size());
        const std::string entry(was.substr(from, to - from));
        from = to + 1;
        const bool again = file_name(entry) == file_name(shim);
        const bool replaced = list.has_allocator && is_allocator(entry);
        if (!entry.empty() && !again && !replaced) list.entries.push_back(entry);
    }
    return list;
}

void check_preload(const Program& program, const PreloadList& list) {
    const std::string preload = list.text();
    const Objects objects = objects_for(program, &preload);
    const auto takes = [&](const std::string& entry) {
        char* real = realpath(entry.c_str(), nullptr);
        const std::string path = real == nullptr ? entry : real;
        std::free(real);
        return std::any_of(objects.list.begin(), objects.list.end(), [&](const Object& object) {
            return object.path == path || (object.file != nullptr && object.file->soname() == entry);
        });
    };
    for (std::size_t i = 0; i < (list.has_allocator ? 2u : 1u); ++i) {
        if (takes(list.entries[i])) continue;
        std::string hint;
        for (const NamedAllocator& each : named_allocators)
            if (list.entries[i] == each.soname)
                hint = fmt::format(" (on Debian it is in the package {})", each.package);
        throw Trouble(fmt::format("{}: the loader cannot preload it into {}{}; nothing was started", list.entries[i],
                                  program.path, hint));
    }
}

std::string own_path() {
    char self[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self);
    return {self, n > 0 ? static_cast<std::size_t>(n) : 0};
}

std::vector<std::string> known_allocators() {
    std::vector<std::string> sonames;
    for (const NamedAllocator& each : named_allocators) sonames.emplace_back(each.soname);
    return sonames;
}

std::string find_shim_library(const std::string& asked) {
    std::vector<std::string> candidates;
    const char* variable = std::getenv("UNKNOT_LIBRARY");
    if (!asked.empty()) {
        candidates = {asked};
    } else if (variable != nullptr && *variable != '\0') {
        candidates = {variable};
    } else {
        const std::string path = own_path();
        const std::string folder = path.substr(0, path.rfind('/'));
        for (const char* place : {"", "/" UNKNOT_LIBRARY_FOLDER, "/../lib", "/../lib/" UNKNOT_TRIPLET, "/../lib64"})
            candidates.push_back(folder + place + "/libunknot.so");
    }
    for (const std::string& candidate : candidates) {
        if (access(candidate.c_str(), R_OK) != 0) continue;
        char* real = realpath(candidate.c_str(), nullptr);
        if (real == nullptr) continue;
        std::string path = real;
        std::free(real);
        return path;
    }
    throw Trouble(fmt::format("libunknot.so was not found as {}; give its path with --library or UNKNOT_LIBRARY",
                              fmt::join(candidates, ", ")));
}

}  // namespace unknot::cli
