// SPDX-License-Identifier: Apache-2.0
#include "cli/watch/totals.h"

#include <algorithm>

namespace unknot::cli {
namespace {

constexpr auto kept_for = std::chrono::hours(1);

// Labels have to be UTF-8; names of programs are bytes.
std::string printable(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
    return text;
}

void add_page(Watched& process, Sums& sums) {
    const auto& rows = counter_rows();
    sums.counters.resize(rows.size());
    process.counted.resize(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const std::uint64_t now = process.found.page->page.*rows[i].field;
        if (rows[i].is_gauge) continue;
        if (now > process.counted[i]) sums.counters[i] += now - process.counted[i];
        process.counted[i] = now;
    }
}

}  // namespace

Group Totals::group_of(const Examination& found) const {
    return {printable(found.place), printable(found.name), per_process_ ? found.pid : 0};
}

void Totals::add(std::map<pid_t, Watched>& processes) {
    const auto now = Watched::Clock::now();
    for (auto& [pid, process] : processes) {
        Sums& sums = sums_[group_of(process.found)];
        sums.last_seen = now;
        if (process.found.page) add_page(process, sums);
    }
    std::erase_if(sums_, [&](const auto& entry) {
        return now - entry.second.last_seen > (per_process_ ? std::chrono::hours(0) : kept_for);
    });
}

}  // namespace unknot::cli
