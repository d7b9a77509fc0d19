// SPDX-License-Identifier: Apache-2.0
// Evidence about the allocator: symbols first, names of files last.
#include "cli/judge/allocator_facts.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "cli/judge/cure.h"
#include "cli/judge/stack_method.h"

namespace unknot::cli {
namespace {

bool is_shim(const Object& object) {
    return object.exports("unknot_stats");
}

// The object whose malloc is called in the end: the first that defines it, the shim aside. A static program has no
// dynamic symbols; its own table may still have the names.
const Object* provider_of_malloc(const Objects& objects) {
    const Object* executable = objects.executable();
    for (const Object& object : objects.list)
        if (object.exports("malloc") && !is_shim(object) && !object.exports("_rtld_global")) return &object;
    if (executable != nullptr && executable->file != nullptr && executable->file->defined("malloc")) return executable;
    return nullptr;
}

bool has(const Object& object, const char* symbol, bool executable) {
    return executable ? object.file->defined(symbol).has_value() : object.exports(symbol);
}

// What a use of `symbol` by `user` is bound to: by the slot that the loader filled, else by the search order.
const Object* binding_of(const Process* process, const Objects& objects, const Object& user, const char* symbol) {
    if (process != nullptr) {
        if (const auto slot = user.file->slot_of(symbol)) {
            const auto target = process->read<std::uint64_t>(user.bias + *slot);
            const Object* bound = target ? objects.containing(*target) : nullptr;
            if (bound != nullptr && bound != &user) return bound;
        }
    }
    return objects.first_exporting(symbol);
}

// prof:true from the places jemalloc reads, the last one wins (jemalloc.3, "TUNING").
bool jemalloc_profiles(const Process* process, const Object& object, const Environment& environment) {
    std::string options;
    if (process != nullptr) {
        if (const auto symbol = object.file->defined("malloc_conf")) {
            const auto text = process->read<std::uint64_t>(object.bias + symbol->address);
            if (text && *text != 0) options += process->read_string(*text, 4096) + ",";
        }
    }
    char link[4096];
    const std::string path = process != nullptr ? process->outside_path("/etc/malloc.conf") : "/etc/malloc.conf";
    const ssize_t n = readlink(path.c_str(), link, sizeof link);
    if (n > 0) options += std::string(link, static_cast<std::size_t>(n)) + ",";
    for (const char* variable : {"MALLOC_CONF", "_RJEM_MALLOC_CONF", "JE_MALLOC_CONF"})
        if (const auto text = environment(variable)) options += *text + ",";
    bool on = false;
    for (std::size_t from = 0; from < options.size();) {
        const std::size_t to = std::min(options.find(',', from), options.size());
        const std::string option = options.substr(from, to - from);
        if (option == "prof:true") on = true;
        if (option == "prof:false") on = false;
        from = to + 1;
    }
    return on;
}

std::string version_of(const Object& object, AllocatorKind kind) {
    const ElfFile& file = *object.file;
    std::string text;
    if (kind == AllocatorKind::glibc) return {};
    if (kind == AllocatorKind::jemalloc) {
        for (const char* major : {"5.", "4."}) {
            text = file.string_starting_with(major);
            const std::size_t hash = text.find("-g");
            if (hash != std::string::npos) return text.substr(0, text.find('-'));
        }
        return {};
    }
    text = file.string_starting_with("gperftools ");
    return text.size() < 40 ? text : std::string();
}

void find_unwinder(const Process* process, const Objects& objects, const Object& object, AllocatorFacts& facts) {
    const bool own = facts.in_executable;
    if (facts.evidence.stack_method == StackMethod::libunwind) {
        for (const Object& each : objects.list)
            if (is_nongnu_libunwind(each)) facts.unwinder = each.name();
        if (facts.unwinder.empty() && own) facts.unwinder = object.name();
    }
    // Looked at whichever method is in force: whether libgcc would be safe is part of the advice.
    const Object* bound = nullptr;
    if (object.file->imports("_Unwind_Backtrace"))
        bound = binding_of(process, objects, object, "_Unwind_Backtrace");
    else if (has(object, "_Unwind_Backtrace", own))
        bound = &object;
    if (bound == nullptr || bound->file == nullptr) {
        facts.evidence.libgcc_walks = true;  // nothing known to be safe
        return;
    }
    facts.evidence.unwind_backtrace_is_libunwind = is_nongnu_libunwind(*bound);
    facts.evidence.libgcc_walks = !bound->file->imports("_dl_find_object") && !bound->file->defined("_dl_find_object");
    if (facts.evidence.stack_method == StackMethod::libgcc) facts.unwinder = bound->name();
}

// Its call of the unwinder leads to nothing any more.
void find_cut(const Process* process, const Objects& objects, const Object& object, AllocatorFacts& facts) {
    facts.uncut_method = facts.evidence.stack_method;
    if (process == nullptr) return;
    const UnwinderImport import = unwinder_import(object, facts.uncut_method);
    const auto target = import.symbol.empty() ? std::nullopt : process->read<std::uint64_t>(import.slot);
    facts.is_cut = target && *target != 0 && *target == returns_zero(*process, objects);
    if (!facts.is_cut) return;
    facts.evidence.stack_method = StackMethod::none;
    facts.method_source = "its import of " + import.symbol + " leads to nothing: immunised";
}

}  // namespace

std::optional<std::string> Environment::operator()(const char* variable) const {
    if (process_ != nullptr) return process_->environment(variable);
    const char* text = std::getenv(variable);
    return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}

AllocatorFacts allocator_of(const Process* process, const Objects& objects, const Environment& environment,
                            unsigned glibc_minor) {
    AllocatorFacts facts;
    facts.evidence.glibc_minor = glibc_minor;
    const Object* object = provider_of_malloc(objects);
    for (const Object& other : objects.list) {
        const bool allocator = other.exports("tc_malloc") || other.exports("mallocx") || other.exports("mi_malloc");
        if (allocator && other.exports("malloc") && &other != object && !is_shim(other))
            facts.unused.push_back(other.name());
    }
    if (object == nullptr) {
        facts.method_source = "not known";
        return facts;
    }
    facts.object = object->name();
    facts.object_start = object->start;
    const bool own = object == objects.executable();
    facts.in_executable = own;
    AllocatorEvidence& seen = facts.evidence;
    const bool vendor =
        has(*object, "tc_malloc", own) || has(*object, "mallocx", own) || has(*object, "mi_malloc", own);
    seen.is_libc = !vendor && !own && object->exports("__libc_start_main");
    // A static program with glibc's own malloc has glibc's names for it and nobody else's.
    if (own && !seen.is_libc && !vendor && !object->exports("malloc"))
        seen.is_libc = has(*object, "__libc_malloc", own) || has(*object, "__malloc_impl", own) ||
                       has(*object, "__libc_malloc_impl", own);
    seen.has_tc_malloc = has(*object, "tc_malloc", own);
    seen.has_mallocx = has(*object, "mallocx", own);
    seen.has_mi_malloc = has(*object, "mi_malloc", own) && has(*object, "mi_version", own);
    facts.sanitizer = has(*object, "__asan_init", own) || has(*object, "__tsan_init", own) ||
                      has(*object, "__lsan_init", own) || has(*object, "__hwasan_init", own) ||
                      has(*object, "__msan_init", own);
    facts.full_build =
        seen.has_tc_malloc && (has(*object, "HeapProfilerStart", own) || has(*object, "_Z13GetStackTracePPvii", own) ||
                               !object->file->strings_equal_to("generic_fp").empty());
    seen.has_growth_stacks = facts.full_build;
    seen.is_debug_build = object->file->soname().find("_debug") != std::string::npos;
    facts.kind = identify(seen);
    if (facts.full_build) find_stack_method(process, *object, environment, facts);
    if (facts.kind == AllocatorKind::jemalloc) {
        // Built without the profiler it has nothing to unwind with, whatever the options say.
        const bool can = object->file->imports("_Unwind_Backtrace") || object->file->imports("unw_backtrace") || own;
        seen.prof_enabled = can && jemalloc_profiles(process, *object, environment);
        seen.stack_method = object->file->imports("unw_backtrace")       ? StackMethod::libunwind
                            : object->file->imports("_Unwind_Backtrace") ? StackMethod::libgcc
                                                                         : StackMethod::unknown;
        facts.method_source = "what it is linked with";
    }
    if (facts.kind == AllocatorKind::glibc || facts.kind == AllocatorKind::mimalloc ||
        facts.kind == AllocatorKind::tcmalloc_minimal)
        seen.stack_method = StackMethod::none;
    find_unwinder(process, objects, *object, facts);
    find_cut(process, objects, *object, facts);
    facts.version = version_of(*object, facts.kind);
    return facts;
}

bool is_nongnu_libunwind(const Object& object) {
    return object.exports("__libunwind_Unwind_Backtrace") || object.exports("_ULx86_64_step") ||
           object.exports("_ULaarch64_step");
}

std::string name_of(AllocatorKind kind) {
    switch (kind) {
        case AllocatorKind::unknown:
            return "unknown";
        case AllocatorKind::glibc:
            return "glibc";
        case AllocatorKind::tcmalloc:
            return "tcmalloc";
        case AllocatorKind::tcmalloc_minimal:
            return "tcmalloc_minimal";
        case AllocatorKind::tcmalloc_debug:
            return "tcmalloc_debug";
        case AllocatorKind::jemalloc:
            return "jemalloc";
        case AllocatorKind::mimalloc:
            return "mimalloc";
    }
    return "unknown";
}

std::string name_of(StackMethod method) {
    switch (method) {
        case StackMethod::none:
            return "none";
        case StackMethod::unknown:
            return "unknown";
        case StackMethod::libunwind:
            return "libunwind";
        case StackMethod::libgcc:
            return "libgcc";
        case StackMethod::generic_fp:
            return "generic_fp";
    }
    return "unknown";
}

}  // namespace unknot::cli
