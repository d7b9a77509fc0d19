// SPDX-License-Identifier: Apache-2.0
// One row per tool. A tool is known by a symbol or a text of its own where it has one, else by its file's name; what it
// does in a walk is told by the function that does it, and only in a stripped file by the version.
#include "cli/judge/walkers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <iterator>

namespace unknot::cli {
namespace {

struct Tool {
    const char* name;
    // Any of them shows it; nullptr: it has none. A part of a symbol's name, and the beginning of a file's.
    const char* symbol;
    const char* file;
    Habit habit;             // of its walks, unless the next rows say otherwise
    const char* allocating;  // part of the name of the function that allocates in a walk: without it, it does not
    const char* harmless;    // the same, the other way round
    unsigned mended_in;      // major version from which it allocates no more; 0: its versions say nothing
    const char* source;      // where that is seen
};

constexpr const char* async_profiler = "async-profiler";

// Forks before what they come from.
constexpr Tool tools[] = {
    {"java-profiler, a fork of async-profiler", nullptr, "libjavaProfiler", Habit::allocates_not,
     "parseLibrariesCallback", nullptr, 0, "DataDog/java-profiler, pull request 245"},
    {"a fork of async-profiler", nullptr, "libpyroscope", Habit::allocates_not, "parseLibrariesCallback", nullptr, 0,
     "async-profiler, src/symbols_linux.cpp"},
    {"a fork of async-profiler", nullptr, "liblinux-profiler", Habit::allocates_not, "parseLibrariesCallback", nullptr,
     0, "async-profiler, src/symbols_linux.cpp"},
    {async_profiler, "asprof_init", "libasyncProfiler", Habit::allocates_not, "parseLibrariesCallback", nullptr, 4,
     "async-profiler, src/symbols_linux.cpp, from 76311145 (2024-08-12) to before ebd88946 (2025-04-08)"},
    {"memray", nullptr, "_memray.", Habit::allocates_in_walk, nullptr, nullptr, 0,
     "memray 1.20.0, src/memray/_memray/elf_shenanigans.cpp: phdrs_callback copies a set of names"},
    {"Rust's backtrace", "libs_dl_iterate_phdr", nullptr, Habit::allocates_in_walk, nullptr, nullptr, 0,
     "backtrace-rs, src/symbolize/gimli/libs_dl_iterate_phdr.rs (2021 on): its callback fills a Vec"},
    {"libbacktrace", "backtrace_vector_grow", nullptr, Habit::allocates_in_walk, nullptr, "backtrace_free_locked", 0,
     "libbacktrace, elf.c: phdr_callback; alloc.c takes its memory from malloc, mmap.c does not"},
    {"heaptrack", "heaptrack_invalidate_module_cache", "libheaptrack_", Habit::locks_around_walk, nullptr, nullptr, 0,
     "heaptrack 1.5.0, src/track/libheaptrack.cpp: updateModuleCache walks under the lock that its malloc takes"},
    {"gperftools' CPU profiler", "ProfilerStart", "libprofiler.so", Habit::unwinds_in_signals, nullptr, nullptr, 0,
     "gperftools 2.10, src/profiler.cc: prof_handler"},
    {"IgProf", nullptr, "libigprof", Habit::unwinds_in_signals, nullptr, nullptr, 0, "igprof, pull request 79"},
    {"HPCToolkit", nullptr, "libhpcrun", Habit::unwinds_in_signals, nullptr, nullptr, 0, "hpctoolkit, issue 109"},
    {"Datadog's native profiler", nullptr, "libdd_profiling", Habit::unwinds_in_signals, nullptr, nullptr, 0,
     "its file's name"},
    {"Datadog's .NET profiler", nullptr, "Datadog.Profiler.Native", Habit::unwinds_in_signals, nullptr, nullptr, 0,
     "dd-trace-dotnet, pull request 5660"},
    {"bytehound", nullptr, "libbytehound", Habit::may_allocate_in_walk, nullptr, nullptr, 0, "its file's name"},
    {"AddressSanitizer", "__asan_init", nullptr, Habit::allocates_not, nullptr, nullptr, 0,
     "LLVM, compiler-rt: an allocator of its own, below malloc"},
    {"ThreadSanitizer", "__tsan_init", nullptr, Habit::allocates_not, nullptr, nullptr, 0,
     "LLVM, compiler-rt: an allocator of its own, below malloc"},
    {"LeakSanitizer", "__lsan_init", nullptr, Habit::allocates_not, nullptr, nullptr, 0,
     "LLVM, compiler-rt: an allocator of its own, below malloc"},
};

constexpr std::string_view own_text = "async-profiler ";  // the name before its version: src/flightRecorder.cpp

// "3.0", "4.2.1", "4.0-1a2b3c4": src/profiler.cpp prints it alone.
bool is_version(std::string_view text) {
    const std::size_t end = std::min(text.find('-'), text.size());
    if (text.size() > 24 || end < 3 || std::isdigit(static_cast<unsigned char>(text[0])) == 0) return false;
    if (std::isdigit(static_cast<unsigned char>(text[end - 1])) == 0) return false;
    std::size_t dots = 0;
    for (std::size_t i = 0; i < end; ++i) {
        if (text[i] == '.' && text[i - 1] == '.') return false;
        if (text[i] != '.' && std::isdigit(static_cast<unsigned char>(text[i])) == 0) return false;
        dots += text[i] == '.' ? 1 : 0;
    }
    return dots >= 1 && dots <= 3 &&
           std::all_of(text.begin() + static_cast<std::ptrdiff_t>(end), text.end(),
                       [](char c) { return c == '-' || std::isalnum(static_cast<unsigned char>(c)) != 0; });
}

// Beside its name, else the one text that can be nothing but a version; two that can be are none.
std::string version_of(const ElfFile& file) {
    const std::string named = file.string_starting_with(own_text);
    if (named.size() > own_text.size()) {
        const std::string rest = named.substr(own_text.size());
        std::size_t length = 0;
        while (length < rest.size() && std::isgraph(static_cast<unsigned char>(rest[length])) != 0) ++length;
        if (is_version(rest.substr(0, length))) return rest.substr(0, length);
    }
    const auto alone = file.strings_like(is_version);
    return alone.size() == 1 ? alone[0] : std::string();
}

void look_inside(const ElfFile& file, const Tool& tool, Walker& walker) {
    const bool walks = file.imports("dl_iterate_phdr") || file.defined("dl_iterate_phdr");
    if (!walks) {
        walker.habit = Habit::walks_not;
        walker.evidence = "it does not import dl_iterate_phdr";
        return;
    }
    walker.evidence = tool.source;
    if (tool.harmless != nullptr && !file.symbol_with(tool.harmless).empty()) {
        walker.habit = Habit::allocates_not;
        walker.evidence = fmt::format("it has {} ({})", tool.harmless, tool.source);
    }
    if (tool.allocating == nullptr) return;
    if (!file.symbol_with(tool.allocating).empty()) {
        walker.habit = Habit::allocates_in_walk;
        walker.evidence = fmt::format("it has {} ({})", tool.allocating, tool.source);
        return;
    }
    walker.evidence = fmt::format("it has its symbols, and no {}", tool.allocating);
    if (file.has_local_symbols()) return;
    if (tool.mended_in == 0 || walker.version.empty()) {
        walker.habit = Habit::may_allocate_in_walk;
        walker.evidence = "it is stripped, and its version does not tell";
        return;
    }
    const bool mended = std::strtoul(walker.version.c_str(), nullptr, 10) >= tool.mended_in;
    walker.habit = mended ? Habit::allocates_not : Habit::allocates_in_walk;
    walker.evidence =
        fmt::format("it imports dl_iterate_phdr and is {} {}.0", mended ? "not before" : "before", tool.mended_in);
}

bool is_it(const Object& object, const Tool& tool) {
    if (tool.file != nullptr && object.name().starts_with(tool.file)) return true;
    if (tool.symbol == nullptr) return false;
    if (object.exports(tool.symbol)) return true;
    // Local names are worth a look only where there is a walk at all.
    return object.file->imports("dl_iterate_phdr") && !object.file->symbol_with(tool.symbol).empty();
}

}  // namespace

std::vector<Walker> walkers_of(const Objects& objects) {
    std::vector<Walker> found;
    for (const Object& object : objects.list) {
        if (object.file == nullptr) continue;
        const auto tool =
            std::find_if(std::begin(tools), std::end(tools), [&](const Tool& each) { return is_it(object, each); });
        if (tool == std::end(tools)) continue;
        Walker walker;
        walker.object = object.name();
        walker.tool = tool->name;
        walker.habit = tool->habit;
        walker.is_async_profiler = walker.tool == async_profiler;
        if (walker.is_async_profiler) walker.version = version_of(*object.file);
        look_inside(*object.file, *tool, walker);
        found.push_back(std::move(walker));
    }
    return found;
}

std::string name_of(Habit habit) {
    switch (habit) {
        case Habit::walks_not:
            return "walks_not";
        case Habit::allocates_not:
            return "allocates_not";
        case Habit::may_allocate_in_walk:
            return "may_allocate_in_walk";
        case Habit::allocates_in_walk:
            return "allocates_in_walk";
        case Habit::locks_around_walk:
            return "locks_around_walk";
        case Habit::unwinds_in_signals:
            return "unwinds_in_signals";
    }
    return "unknown";
}

}  // namespace unknot::cli
