// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/identity.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "shim/allocator/real_allocator.h"
#include "shim/loader/inner_code.h"
#include "shim/loader/thread_state.h"
#include "shim/system/dynamic_symbols.h"
#include "shim/system/libc.h"

namespace unknot {

namespace {

// One loaded object. The libraries of the start stay loaded while this runs.
struct Object {
    dl_phdr_info about{};

    bool contains(const void* p) const {
        const auto address = reinterpret_cast<std::uintptr_t>(p);
        for (unsigned i = 0; i < about.dlpi_phnum; ++i) {
            const ElfW(Phdr)& header = about.dlpi_phdr[i];
            if (header.p_type == PT_LOAD && address - (about.dlpi_addr + header.p_vaddr) < header.p_memsz) return true;
        }
        return false;
    }

    // The flags of the segments where constants lie: aarch64's linker puts them beside the code, in one segment.
    unsigned flags_of_constants() const {
        for (unsigned i = 0; i < about.dlpi_phnum; ++i) {
            if (about.dlpi_phdr[i].p_type == PT_LOAD && about.dlpi_phdr[i].p_flags == PF_R) return PF_R;
        }
        return PF_R | PF_X;
    }

    // Do its constants hold `text`? (gperftools keeps the names of its stack methods there.)
    bool mentions(const char* text) const {
        const unsigned flags = flags_of_constants();
        for (unsigned i = 0; i < about.dlpi_phnum; ++i) {
            const ElfW(Phdr)& header = about.dlpi_phdr[i];
            if (header.p_type == PT_LOAD && header.p_flags == flags &&
                memmem(reinterpret_cast<const void*>(about.dlpi_addr + header.p_vaddr), header.p_filesz, text,
                       strlen(text) + 1) != nullptr) {
                return true;
            }
        }
        return false;
    }

    // Is a library whose name starts like this among DT_NEEDED?
    bool needs(const char* prefix) const {
        for (unsigned i = 0; i < about.dlpi_phnum; ++i) {
            if (about.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
            const auto* first = reinterpret_cast<const ElfW(Dyn)*>(about.dlpi_addr + about.dlpi_phdr[i].p_vaddr);
            const char* strings = nullptr;
            for (const auto* entry = first; entry->d_tag != DT_NULL; ++entry) {
                if (entry->d_tag == DT_STRTAB) strings = at_run_time<char>(about, entry->d_un.d_ptr);
            }
            if (strings == nullptr) continue;
            for (const auto* entry = first; entry->d_tag != DT_NULL; ++entry) {
                if (entry->d_tag == DT_NEEDED && strncmp(strings + entry->d_un.d_val, prefix, strlen(prefix)) == 0) {
                    return true;
                }
            }
        }
        return false;
    }
};

const char* base_name(const char* path) {
    const char* slash = strrchr(path, '/');
    return slash != nullptr ? slash + 1 : path;
}

bool starts_with(const char* text, const char* prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

struct Search {
    const void* program_malloc;  // where the program's malloc is, if that is not the shim's
    const void* backtrace;       // what _Unwind_Backtrace binds to in a library
    Identity identity{};
    Object allocator{};  // the one whose malloc our calls go on to
    bool first = true;   // the executable comes first
};

// gperftools reads this variable itself; unknown values make it warn and take its default.
StackMethod stack_method_of(const Object& object) {
    const char* asked = secure_getenv("TCMALLOC_STACKTRACE_METHOD");
    if (asked != nullptr && *asked != '\0' && object.mentions(asked)) {
        if (strcmp(asked, "generic_fp") == 0 || strcmp(asked, "generic_fp_unsafe") == 0) return StackMethod::generic_fp;
        if (strcmp(asked, "libgcc") == 0) return StackMethod::libgcc;
        if (strcmp(asked, "libunwind") == 0) return StackMethod::libunwind;
        return StackMethod::unknown;
    }
    if (object.needs("libunwind.so")) return StackMethod::libunwind;
    return object.mentions("generic_fp") ? StackMethod::generic_fp : StackMethod::unknown;
}

void describe_allocator(const Object& object, AllocatorEvidence& seen) {
    void* self = dlopen(object.about.dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
    auto has = [&](const char* symbol) {
        void* found = self != nullptr ? dlsym(self, symbol) : nullptr;
        return found != nullptr && object.contains(found);
    };
    seen.is_libc = object.contains(inside_libc());
    if (!seen.is_libc) {
        seen.has_tc_malloc = has("tc_malloc");
        seen.has_growth_stacks = has("HeapProfilerStart") || object.needs("libunwind.so");
        seen.is_debug_build = strstr(base_name(object.about.dlpi_name), "_debug") != nullptr;
        seen.has_mallocx = has("mallocx");
        seen.has_mi_malloc = has("mi_malloc");
        if (seen.has_tc_malloc) seen.stack_method = stack_method_of(object);
    }
    if (seen.has_mallocx) {
        using Control = int (*)(const char*, void*, std::size_t*, void*, std::size_t);
        auto* control = reinterpret_cast<Control>(dlsym(self, "mallctl"));
        const auto says = [&](const char* name) {
            bool value = false;
            std::size_t bytes = sizeof value;
            return control != nullptr && control(name, &value, &bytes, nullptr, 0) == 0 && value;
        };
        seen.prof_enabled = says("opt.prof");
        // By jemalloc.3; where neither is said, what it unwinds with is not known.
        if (says("config.prof_libunwind")) seen.stack_method = StackMethod::libunwind;
        if (says("config.prof_libgcc")) seen.stack_method = StackMethod::libgcc;
    }
    if (self != nullptr) dlclose(self);
}

int look_at(dl_phdr_info* info, std::size_t, void* data) {
    Search& search = *static_cast<Search*>(data);
    const Object object{*info};
    const char* name = base_name(info->dlpi_name);
    const bool is_program = search.first;
    search.first = false;
    if (search.program_malloc != nullptr && object.contains(search.program_malloc)) {
        search.identity.position = is_program ? Position::behind_program : Position::behind_preload;
        strncpy(search.identity.malloc_owner, is_program ? "the executable" : name,
                sizeof search.identity.malloc_owner - 1);
    }
    if (search.backtrace != nullptr && object.contains(search.backtrace)) {
        search.identity.evidence.unwind_backtrace_is_libunwind = starts_with(name, "libunwind");
        search.identity.evidence.libgcc_walks = imports(*info, "dl_iterate_phdr");
    }
    InnerCode what = inner_code_named(name);
    if (object.contains(reinterpret_cast<const void*>(real_allocator.malloc))) {
        search.allocator = object;
        if (what == InnerCode::none) what = InnerCode::allocator;
    }
    if (what != InnerCode::none) note_inner_code(*info, what);
    return 0;
}

// Where malloc leads when it does not lead to us; nullptr if it does. Asked by calling it: an address says nothing,
// because a position-dependent executable that takes malloc's address gives every library the address of its own PLT.
const void* foreign_malloc() {
    auto* program_malloc = reinterpret_cast<void* (*)(std::size_t)>(dlsym(RTLD_DEFAULT, "malloc"));
    auto* program_free = reinterpret_cast<void (*)(void*)>(dlsym(RTLD_DEFAULT, "free"));
    if (program_malloc == nullptr || program_free == nullptr) return nullptr;
    const std::uint32_t before = thread_state.slow_calls;
    program_free(program_malloc(1));
    return thread_state.slow_calls != before ? nullptr : reinterpret_cast<const void*>(program_malloc);
}

}  // namespace

Identity identify_process() {
    // RTLD_NEXT: what libraries bind to, past the executable and its PLT.
    Search search{.program_malloc = foreign_malloc(), .backtrace = dlsym(RTLD_NEXT, "_Unwind_Backtrace")};
    real_allocator.dl_iterate_phdr(look_at, &search);
    AllocatorEvidence& seen = search.identity.evidence;
    seen.knows_loader = knows_loader;
    const char* minor = strchr(libc_version(), '.');
    seen.glibc_minor = minor != nullptr ? static_cast<unsigned>(strtoul(minor + 1, nullptr, 10)) : 0;
    if (search.allocator.about.dlpi_phdr != nullptr) describe_allocator(search.allocator, seen);
    return search.identity;
}

}  // namespace unknot
