// SPDX-License-Identifier: Apache-2.0
// gperftools keeps a row per method, a few function pointers and a name, a list of all rows, and one variable that
// points at the row in force (src/stacktrace.cc, `get_stack_impl`; seen in 2.8 to 2.10).
// Neither has a symbol in a stripped build, but the name's address leads to the row and the row to the variable.
#include "cli/judge/stack_method.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

namespace unknot::cli {
namespace {

struct Name {
    const char* text;
    StackMethod method;
};
constexpr Name names[] = {{"libunwind", StackMethod::libunwind},
                          {"libgcc", StackMethod::libgcc},
                          {"generic_fp", StackMethod::generic_fp},
                          {"generic_fp_unsafe", StackMethod::generic_fp}};

constexpr std::size_t row_bytes = 40;  // four or five words, the name last or first
constexpr std::size_t most_bytes = 16u << 20;

std::vector<std::uint64_t> words_of(const Process& process, std::uint64_t start, std::uint64_t end) {
    start = (start + 7) & ~std::uint64_t{7};
    if (end < start + 8 || end - start > most_bytes) return {};
    std::vector<std::uint64_t> words((end - start) / 8);
    if (!process.read(start, words.data(), words.size() * 8)) words.clear();
    return words;
}

struct Row {
    StackMethod method;
    std::string name;
};

}  // namespace

// Pointers to rows: the list of all methods holds several in a row, the variable stands alone.
MethodTable method_table_of(const Process& process, const Object& allocator) {
    MethodTable table;
    std::map<std::uint64_t, Row> texts;  // address of the name in the process
    for (const Name& name : names)
        for (const std::uint64_t address : allocator.file->strings_equal_to(name.text))
            texts[allocator.bias + address] = {name.method, name.text};
    std::map<std::uint64_t, Row> rows;  // address of the pointer to the name
    const auto ranges = allocator.file->writable_ranges();
    for (const auto& range : ranges) {
        const std::uint64_t start = (allocator.bias + range.start + 7) & ~std::uint64_t{7};
        const auto words = words_of(process, start, allocator.bias + range.end);
        for (std::size_t i = 0; i < words.size(); ++i)
            if (const auto text = texts.find(words[i]); text != texts.end()) rows[start + i * 8] = text->second;
    }
    if (rows.empty()) return table;
    const auto row_of = [&](std::uint64_t word) {
        const auto row = rows.lower_bound(word);
        const bool near = word != 0 && row != rows.end() && row->first - word < row_bytes;
        return near ? &row->second : nullptr;
    };
    bool disagree = false;
    for (const auto& range : ranges) {
        const std::uint64_t start = (allocator.bias + range.start + 7) & ~std::uint64_t{7};
        const auto words = words_of(process, start, allocator.bias + range.end);
        for (std::size_t i = 0; i < words.size(); ++i) {
            const Row* row = row_of(words[i]);
            if (row == nullptr) continue;
            const bool in_list =
                (i > 0 && row_of(words[i - 1]) != nullptr) || (i + 1 < words.size() && row_of(words[i + 1]) != nullptr);
            if (in_list) {
                table.rows[row->name] = words[i];
                continue;
            }
            if (range.constant) continue;
            // Two variables that disagree: neither is believed.
            disagree = disagree || (table.variable != 0 && table.in_force != words[i]);
            table.variable = start + i * 8;
            table.in_force = words[i];
            table.method = row->method;
        }
    }
    if (!disagree) return table;
    table.variable = table.in_force = 0;
    table.method = StackMethod::unknown;
    return table;
}

void find_stack_method(const Process* process, const Object& allocator, const Environment& environment,
                       AllocatorFacts& facts) {
    const ElfFile& file = *allocator.file;
    const auto knows = [&](const char* name) { return !file.strings_equal_to(name).empty(); };
    facts.knows_generic_fp = knows("generic_fp");
    facts.knows_libgcc = knows("libgcc");

    if (process != nullptr) {
        facts.evidence.stack_method = method_table_of(*process, allocator).method;
        facts.method_source = "read from the process's memory";
        if (facts.evidence.stack_method != StackMethod::unknown) return;
    }
    const auto asked = environment("TCMALLOC_STACKTRACE_METHOD");
    for (const Name& name : names) {
        if (!asked || *asked != name.text || !knows(name.text)) continue;
        facts.evidence.stack_method = name.method;
        facts.method_source = "TCMALLOC_STACKTRACE_METHOD";
        return;
    }
    facts.method_source = "default of this build";
    if (asked) facts.method_source += fmt::format("; it does not know TCMALLOC_STACKTRACE_METHOD={}", *asked);
    // gperftools prefers libunwind wherever it was built with it.
    if (file.imports("unw_step") || file.imports("_ULx86_64_step") || file.imports("_ULaarch64_step"))
        facts.evidence.stack_method = StackMethod::libunwind;
    else if (file.machine() == EM_AARCH64 && facts.knows_generic_fp)
        facts.evidence.stack_method = StackMethod::generic_fp;
    else
        facts.method_source = "not known";
}

}  // namespace unknot::cli
