// SPDX-License-Identifier: Apache-2.0
// How a running process can be kept from taking its allocator's stack traces through the loader: one word of its
// memory, which one, what it holds and what it should hold. Found by facts; nothing is written here.
#pragma once

#include <cstdint>
#include <string>

#include "cli/judge/allocator_facts.h"

namespace unknot::cli {

enum class CureKind {
    none,          // `why_not` says why
    method_table,  // gperftools' pointer to its stack method: generic_fp instead
    import,        // the allocator's own import of its unwinder: a function of libc that returns 0 instead
};

struct Cure {
    CureKind kind = CureKind::none;
    std::uint64_t address = 0;  // of the word
    std::uint64_t now = 0;      // what it holds
    std::uint64_t cured = 0;    // what it holds once cured
    // What the process itself would have there: from its environment and its files. 0: neither tells.
    std::uint64_t original = 0;
    std::string place;  // the word, in words
    std::string cured_text, original_text;
    std::string lost;  // what the process does without once cured
    std::string why_not;
    bool applied() const { return kind != CureKind::none && now == cured; }
};

Cure cure_of(const Process& process, const Objects& objects, const AllocatorFacts& allocator);
// A function of libc that does nothing but return 0, shown by its code; 0: none was found.
std::uint64_t returns_zero(const Process& process, const Objects& objects);
// The slot of the allocator's import of its unwinder, as an address in the process, and the import's name.
struct UnwinderImport {
    std::string symbol;      // empty: it imports none
    std::uint64_t slot = 0;  // in the process
};
UnwinderImport unwinder_import(const Object& allocator, StackMethod method);

}  // namespace unknot::cli
