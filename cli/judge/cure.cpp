// SPDX-License-Identifier: Apache-2.0
// gperftools from 2.10 on has the method generic_fp, which follows frame pointers and asks nobody (2.8 has not). Where
// there is no such row, the call of the unwinder is what can be cut: its return value 0 means "no further frame" to
// unw_step (libunwind's unw_step(3)) and to unw_backtrace, and ends _Unwind_Backtrace without one.
#include "cli/judge/cure.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cli/judge/stack_method.h"

namespace unknot::cli {
namespace {

const Object* object_of(const Objects& objects, const AllocatorFacts& allocator) {
    for (const Object& object : objects.list)
        if (object.start == allocator.object_start && object.file != nullptr) return &object;
    return nullptr;
}

// By the environment the process was started with, else by what its file has there.
void find_original_method(const Process& process, const Object& object, const MethodTable& table, Cure& cure) {
    const auto asked = process.environment("TCMALLOC_STACKTRACE_METHOD");
    if (asked) {
        if (const auto row = table.rows.find(*asked); row != table.rows.end()) {
            cure.original = row->second;
            cure.original_text = *asked + ", as TCMALLOC_STACKTRACE_METHOD asks";
            return;
        }
    }
    const auto target = object.file->points_at(cure.address - object.bias);
    const auto preferred = table.rows.find("libunwind");
    if (!target && preferred != table.rows.end()) {
        // From 2.11 on it is chosen at start: libunwind, wherever it was built with it (src/stacktrace.cc).
        cure.original = preferred->second;
        cure.original_text = "libunwind, which this build prefers";
    }
    if (!target) return;
    for (const auto& [name, row] : table.rows) {
        if (row != object.bias + *target) continue;
        cure.original = row;
        cure.original_text = name + ", the default of this build";
    }
}

bool by_method_table(const Process& process, const Object& object, const MethodTable& table, Cure& cure) {
    // The exact name: generic_fp_unsafe reads addresses that it has not checked.
    const auto row = table.rows.find("generic_fp");
    if (table.variable == 0 || row == table.rows.end()) return false;
    cure.kind = CureKind::method_table;
    cure.address = table.variable;
    cure.now = table.in_force;
    cure.cured = row->second;
    cure.place = fmt::format("the stack method of {}", object.name());
    cure.cured_text = "generic_fp";
    cure.lost =
        "its heap profiles and growth stacks hold frame-pointer traces, which are cut short where code was built "
        "without frame pointers";
    find_original_method(process, object, table, cure);
    return true;
}

bool by_import(const Process& process, const Objects& objects, const Object& object, const AllocatorFacts& allocator,
               Cure& cure) {
    const UnwinderImport import = unwinder_import(object, allocator.uncut_method);
    if (import.symbol.empty()) {
        cure.why_not =
            fmt::format("{} has neither gperftools' method generic_fp nor an import of its unwinder", object.name());
        return false;
    }
    const std::uint64_t target = returns_zero(process, objects);
    const auto now = process.read<std::uint64_t>(import.slot);
    if (target == 0 || !now) {
        cure.why_not = target == 0 ? "this libc has no function that is known to return 0 and do nothing else"
                                   : "the slot of its import cannot be read";
        return false;
    }
    cure.kind = CureKind::import;
    cure.address = import.slot;
    cure.now = *now;
    cure.cured = target;
    cure.place = fmt::format("{} of {}", import.symbol, object.name());
    cure.cured_text = "posix_spawnattr_destroy of libc, which returns 0 and does nothing else";
    cure.lost = "its heap profiles, growth and leak reports hold no stack traces";
    if (const Object* owner = objects.first_exporting(import.symbol)) {
        cure.original = owner->bias + owner->file->defined(import.symbol)->address;
        cure.original_text = fmt::format("{} of {}", import.symbol, owner->name());
    }
    return true;
}

}  // namespace

std::uint64_t returns_zero(const Process& process, const Objects& objects) {
    // POSIX lets it do nothing, and glibc's does (posix/spawnattr_destroy.c, the same since 2000): "return 0".
    constexpr const char* function = "posix_spawnattr_destroy";
    constexpr unsigned char x86_landing[] = {0xf3, 0x0f, 0x1e, 0xfa}, x86_code[] = {0x31, 0xc0, 0xc3};
    constexpr unsigned char arm_landing[] = {0x5f, 0x24, 0x03, 0xd5};
    constexpr unsigned char arm_code[] = {0x00, 0x00, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};
    for (const Object& object : objects.list) {
        if (!object.exports("gnu_get_libc_version") || !object.exports(function)) continue;
        const std::uint64_t address = object.bias + object.file->defined(function)->address;
        std::array<unsigned char, 12> code{};
        if (!process.read(address, code.data(), code.size())) return 0;
        const auto is = [&](const auto& landing, const auto& body) {
            const bool lands = std::equal(std::begin(landing), std::end(landing), code.begin());
            return std::equal(std::begin(body), std::end(body), code.begin() + (lands ? sizeof landing : 0));
        };
        const unsigned machine = object.file->machine();
        if (machine == EM_X86_64 && is(x86_landing, x86_code)) return address;
        if (machine == EM_AARCH64 && is(arm_landing, arm_code)) return address;
    }
    return 0;
}

UnwinderImport unwinder_import(const Object& allocator, StackMethod method) {
    constexpr const char* by_libunwind[] = {"_ULx86_64_step", "_ULaarch64_step", "unw_step", "unw_backtrace"};
    constexpr const char* by_libgcc[] = {"_Unwind_Backtrace"};
    const auto find = [&](const auto& symbols) {
        for (const char* symbol : symbols)
            if (const auto slot = allocator.file->slot_of(symbol))
                return UnwinderImport{symbol, allocator.bias + *slot};
        return UnwinderImport{};
    };
    if (method == StackMethod::libunwind) return find(by_libunwind);
    if (method == StackMethod::libgcc) return find(by_libgcc);
    return {};
}

Cure cure_of(const Process& process, const Objects& objects, const AllocatorFacts& allocator) {
    Cure cure;
    const Object* object = object_of(objects, allocator);
    if (object == nullptr) {
        cure.why_not = "its allocator was not found";
        return cure;
    }
    const bool is_gperftools = allocator.full_build, is_jemalloc = allocator.kind == AllocatorKind::jemalloc;
    if (!is_gperftools && !is_jemalloc) {
        cure.why_not = fmt::format("how to cure {} while it runs is not known", object->name());
        return cure;
    }
    if (is_gperftools && by_method_table(process, *object, allocator.methods, cure)) return cure;
    by_import(process, objects, *object, allocator, cure);
    return cure;
}

}  // namespace unknot::cli
