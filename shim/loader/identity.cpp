// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/identity.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "shim/allocator/real_allocator.h"
#include "shim/loader/inner_code.h"
#include "shim/loader/native_walk.h"
#include "shim/loader/thread_state.h"
#include "shim/system/definitions.h"
#include "shim/system/libc.h"
#include "shim/system/text.h"

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
                if (entry->d_tag == DT_NEEDED && starts_with(strings + entry->d_un.d_val, prefix)) {
                    return true;
                }
            }
        }
        return false;
    }
};

// How the runtimes start that keep account of every block themselves.
constexpr const char* sanitizers[] = {"__asan_init", "__lsan_init", "__hwasan_init", "__msan_init", "__tsan_init"};

// gperftools reads this variable itself; unknown values make it warn and take its default.
StackMethod stack_method_of(const Object& object) {
    const char* asked = secure_getenv("TCMALLOC_STACKTRACE_METHOD");
    if (asked != nullptr && *asked != '\0' && object.mentions(asked)) {
        if (same(asked, "generic_fp") || same(asked, "generic_fp_unsafe")) return StackMethod::generic_fp;
        if (same(asked, "libgcc")) return StackMethod::libgcc;
        if (same(asked, "libunwind")) return StackMethod::libunwind;
        return StackMethod::unknown;
    }
    if (object.needs("libunwind.so")) return StackMethod::libunwind;
    return object.mentions("generic_fp") ? StackMethod::generic_fp : StackMethod::unknown;
}

// What its symbols tell: asked without a call.
void describe(const link_map& allocator, AllocatorEvidence& seen) {
    const char* name = file_name(allocator);
    auto has = [&](const char* symbol) { return definition_in(allocator, symbol).address != nullptr; };
    // glibc's checking malloc stands on glibc's own (2.34, malloc/malloc-debug.c).
    seen.is_libc = &allocator == libc_object() || starts_with(name, "libc_malloc_debug.so");
    if (seen.is_libc) return;
    seen.has_tc_malloc = has("tc_malloc");
    seen.has_growth_stacks = has("HeapProfilerStart");
    seen.is_debug_build = contains(name, "_debug");
    seen.has_mallocx = has("mallocx");
    seen.has_mi_malloc = has("mi_malloc") && has("mi_version");
}

// How it takes stack traces: asked of its headers, its settings and itself.
void describe_unwinding(const link_map& allocator, const Object& object, AllocatorEvidence& seen) {
    if (seen.has_tc_malloc) {
        if (object.needs("libunwind.so")) seen.has_growth_stacks = true;
        seen.stack_method = stack_method_of(object);
    }
    if (seen.has_mallocx) {
        using Control = int (*)(const char*, void*, std::size_t*, void*, std::size_t);
        const void* found = definition_in(allocator, "mallctl").address;
        auto* control = reinterpret_cast<Control>(const_cast<void*>(found));
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
}

// Written once, at start; read on slow paths.
constinit bool libcs_blocks = false;
struct Range {
    std::uintptr_t start = 0;
    std::size_t bytes = 0;
};
constinit Range loader_code;

struct Walk {
    const void* malloc;  // the one that the program's calls end in
    bool is_program;     // it is part of the executable
    Object allocator{};
};

void note_loader(const dl_phdr_info& loader) {
    for (unsigned i = 0; i < loader.dlpi_phnum; ++i) {
        const ElfW(Phdr)& header = loader.dlpi_phdr[i];
        if (header.p_type != PT_LOAD || (header.p_flags & PF_X) == 0) continue;
        loader_code = {.start = loader.dlpi_addr + header.p_vaddr, .bytes = header.p_memsz};
    }
}

int look_at(dl_phdr_info* info, std::size_t, void* data) {
    const Object object{*info};
    if (starts_with(base_name(info->dlpi_name), "ld-linux")) note_loader(*info);
    Walk& walk = *static_cast<Walk*>(data);
    InnerCode what = inner_code_named(info->dlpi_name);
    if (object.contains(walk.malloc)) {
        walk.allocator = object;
        // libc and the program contain more than an allocator.
        if (what != InnerCode::none || walk.is_program) {
            note_allocation_functions(*info);
        } else {
            what = InnerCode::allocator;
        }
    }
    if (what != InnerCode::none) note_inner_code(*info, what);
    return 0;
}

// Whose malloc is the program's?
Position find_position(Identity& identity) {
    const link_map* owner = first_definition("malloc").object;
    const link_map* self = own_object();
    if (owner == nullptr || self == nullptr || owner == self) return Position::on_path;
    const bool is_program = owner == first_loaded();
    copy_text(identity.malloc_owner, is_program ? "the executable" : file_name(*owner));
    return is_program ? Position::behind_program : Position::behind_preload;
}

bool is_sanitizer(const link_map& allocator) {
    for (const char* start : sanitizers) {
        if (definition_in(allocator, start).address != nullptr) return true;
    }
    return false;
}

}  // namespace

bool hands_out_libcs_blocks() {
    return libcs_blocks;
}

bool is_loader_code(const void* address) {
    return reinterpret_cast<std::uintptr_t>(address) - loader_code.start < loader_code.bytes;
}

bool calls_arrive() {
    auto* program_free = reinterpret_cast<void (*)(void*)>(const_cast<void*>(first_definition("free").address));
    const std::uint32_t before = thread_state.slow_calls;
    program_free(nullptr);
    return thread_state.slow_calls != before;
}

Identity identify_process(Mode asked) {
    Identity identity;
    identity.position = find_position(identity);
    identity.walks_arrive = first_definition("dl_iterate_phdr").object != libc_object();
    AllocatorEvidence& seen = identity.evidence;
    seen.knows_loader = knows_loader;
    seen.glibc_minor = minor_version(libc_version());
    const bool is_ours = identity.position != Position::behind_program && identity.position != Position::behind_preload;
    const Definition malloc = is_ours ? next_definition("malloc") : first_definition("malloc");
    const link_map* allocator = malloc.object;
    if (allocator == nullptr) return identity;
    describe(*allocator, seen);
    // One that passes on what libc gives it (heaptrack's, libmemusage.so) has no malloc_usable_size of its own.
    libcs_blocks = seen.is_libc || definition_in(*allocator, "malloc_usable_size").address == nullptr;
    if (identity.position == Position::on_path && is_sanitizer(*allocator)) {
        identity.position = Position::beside_sanitizer;
        copy_text(identity.malloc_owner, file_name(*allocator));
    }
    if (asked == Mode::off || identity.position == Position::beside_sanitizer) return identity;
    const Definition backtrace = next_definition("_Unwind_Backtrace");
    seen.unwind_backtrace_is_libunwind =
        backtrace.object != nullptr && starts_with(file_name(*backtrace.object), "libunwind");
    seen.libgcc_walks = backtrace.object != nullptr && imports(*backtrace.object, "dl_iterate_phdr");
    Walk walk{.malloc = malloc.address, .is_program = identity.position == Position::behind_program};
    native_walk(look_at, &walk);
    if (walk.allocator.about.dlpi_phdr != nullptr) describe_unwinding(*allocator, walk.allocator, seen);
    return identity;
}

}  // namespace unknot
