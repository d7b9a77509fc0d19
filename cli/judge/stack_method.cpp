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
#include <memory>
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

// The words of a range, as they stand in the process. Megabytes: not filled with zeros first.
struct Words {
    std::uint64_t start = 0;
    bool constant = false;
    std::size_t count = 0;  // 0: it could not be read
    std::unique_ptr<std::uint64_t[]> words;
    std::uint64_t operator[](std::size_t i) const { return words[i]; }
};

Words words_of(const Process& process, std::uint64_t bias, const ElfFile::Range& range) {
    Words found;
    found.constant = range.constant;
    found.start = (bias + range.start + 7) & ~std::uint64_t{7};
    const std::uint64_t end = bias + range.end;
    if (end < found.start + 8 || end - found.start > most_bytes) return found;
    const std::size_t count = (end - found.start) / 8;
    found.words.reset(new std::uint64_t[count]);
    if (process.read(found.start, found.words.get(), count * 8)) found.count = count;
    return found;
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
    if (texts.empty()) return table;
    // Nearly every word is out of these bounds, and an allocator has megabytes of them.
    const std::uint64_t first_text = texts.begin()->first, last_text = texts.rbegin()->first;
    std::map<std::uint64_t, Row> rows;  // address of the pointer to the name
    std::vector<Words> ranges;
    for (const auto& range : allocator.file->writable_ranges()) {
        const Words& words = ranges.emplace_back(words_of(process, allocator.bias, range));
        for (std::size_t i = 0; i < words.count; ++i) {
            if (words[i] < first_text || words[i] > last_text) continue;
            if (const auto text = texts.find(words[i]); text != texts.end()) rows[words.start + i * 8] = text->second;
        }
    }
    if (rows.empty()) return table;
    const std::uint64_t first_row = rows.begin()->first, last_row = rows.rbegin()->first;
    const auto row_of = [&](std::uint64_t word) -> const Row* {
        if (word > last_row || word + row_bytes <= first_row) return nullptr;
        const auto row = rows.lower_bound(word);
        return row->first - word < row_bytes ? &row->second : nullptr;
    };
    bool disagree = false;
    for (const Words& words : ranges) {
        for (std::size_t i = 0; i < words.count; ++i) {
            const Row* row = row_of(words[i]);
            if (row == nullptr) continue;
            const bool in_list =
                (i > 0 && row_of(words[i - 1]) != nullptr) || (i + 1 < words.count && row_of(words[i + 1]) != nullptr);
            if (in_list) {
                table.rows[row->name] = words[i];
                continue;
            }
            if (words.constant) continue;
            // Two variables that disagree: neither is believed.
            disagree = disagree || (table.variable != 0 && table.in_force != words[i]);
            table.variable = words.start + i * 8;
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
        facts.methods = method_table_of(*process, allocator);
        facts.evidence.stack_method = facts.methods.method;
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
