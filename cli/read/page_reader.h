// SPDX-License-Identifier: Apache-2.0
// The statistics page of another process: found by its symbol, checked, and read as far as both sides know it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/read/objects.h"
#include "cli/read/witnesses.h"
#include "policy/stats_page.h"

namespace unknot::cli {

struct CounterRow {
    const char* name;
    const char* unit;
    bool is_gauge;
    const char* help;
    std::uint64_t StatsPage::*field;
};
const std::vector<CounterRow>& counter_rows();

struct PageReading {
    StatsPage page{};     // zeroes where the writer knows less
    std::string library;  // path of libunknot.so
    // Where it lies in the process, and how many bytes were read.
    std::uint64_t address = 0;
    std::size_t bytes = 0;
    std::string library_version;  // printable
    std::vector<std::string> notes;
    bool has(std::size_t counter_index) const { return counter_index < page.counters; }
    std::vector<Witness> under_loader_lock, inside_allocator;
    bool both_edges_seen() const { return !under_loader_lock.empty() && !inside_allocator.empty(); }
};

// nullopt: the shim is not in the process. Throws Trouble when it is and its page is not one, NotPermitted when it
// cannot be read.
std::optional<PageReading> read_page(const Process& process, const Objects& objects);
// The same page once more, of the same program; nothing is looked for. Throws as above, and ProcessGone.
PageReading read_page_again(const Process& process, const PageReading& before);
// The part that needs no process: `bytes` as they lay at the symbol. Throws Trouble.
PageReading understand_page(const void* bytes, std::size_t size);

std::string name_of(Mode mode);
std::string name_of(Probe probe);
std::string name_of(WalkMode mode);
std::string verdict_of_witness(const PageReading& reading);

}  // namespace unknot::cli
