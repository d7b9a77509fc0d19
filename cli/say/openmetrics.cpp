// SPDX-License-Identifier: Apache-2.0
// The statistics as OpenMetrics text that is also valid in the older Prometheus text format. The two disagree about the
// family name of a counter (with or without _total), so counters carry HELP and their _total name, but no TYPE: both
// formats then take them as they stand, and both checkers pass.
#include <fmt/format.h>

#include <iterator>

#include "cli/judge/allocator_facts.h"
#include "cli/say/stat_output.h"

namespace unknot::cli {
namespace {

std::string escaped(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '\\' || c == '"') result += '\\';
        if (c == '\n')
            result += "\\n";
        else
            result += static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e ? '?' : c;
    }
    return result;
}

std::string labels_of(const StatRow& row) {
    return fmt::format("pid=\"{}\",name=\"{}\"", row.pid, escaped(row.name));
}

}  // namespace

std::string family_of(const CounterRow& counter) {
    std::string name = fmt::format("unknot_{}", counter.name);
    if (std::string_view(counter.unit) == "bytes" && !name.ends_with("_bytes")) name += "_bytes";
    if (!counter.is_gauge) name += "_total";
    return name;
}

std::string openmetrics_of(const std::vector<StatRow>& rows) {
    std::string text;
    const auto out = std::back_inserter(text);
    if (!rows.empty()) {
        fmt::format_to(
            out, "# HELP unknot_process What the shim does in a process; always 1.\n# TYPE unknot_process gauge\n");
        for (const StatRow& row : rows) {
            const StatsPage& page = row.reading.page;
            fmt::format_to(
                out, "unknot_process{{{},mode=\"{}\",probe=\"{}\",allocator=\"{}\",walk=\"{}\",version=\"{}\"}} 1\n",
                labels_of(row), name_of(page.mode), name_of(page.probe), name_of(page.allocator),
                name_of(page.walk_mode), escaped(row.reading.library_version));
        }
        fmt::format_to(out,
                       "# HELP unknot_both_edges_seen 1: observe mode saw that this process can deadlock.\n"
                       "# TYPE unknot_both_edges_seen gauge\n");
        for (const StatRow& row : rows)
            fmt::format_to(out, "unknot_both_edges_seen{{{}}} {}\n", labels_of(row),
                           row.reading.both_edges_seen() ? 1 : 0);
        fmt::format_to(out,
                       "# HELP unknot_calls_under_loader_lock Calls that the shim remembers, by the object that made "
                       "them; rare ones make room for others.\n"
                       "# TYPE unknot_calls_under_loader_lock gauge\n");
        for (const StatRow& row : rows)
            for (const ObjectCount& each : by_object(row.reading.under_loader_lock))
                fmt::format_to(out, "unknot_calls_under_loader_lock{{{},object=\"{}\"}} {}\n", labels_of(row),
                               escaped(each.object), each.count);
    }
    const auto& counters = counter_rows();
    for (std::size_t i = 0; i < counters.size(); ++i) {
        const std::string family = family_of(counters[i]);
        bool first = true;
        for (const StatRow& row : rows) {
            if (!row.reading.has(i)) continue;
            if (first) {
                fmt::format_to(out, "# HELP {} {}\n", family, counters[i].help);
                if (counters[i].is_gauge) fmt::format_to(out, "# TYPE {} gauge\n", family);
                first = false;
            }
            fmt::format_to(out, "{}{{{}}} {}\n", family, labels_of(row), row.reading.page.*counters[i].field);
        }
    }
    text += "# EOF\n";
    return text;
}

}  // namespace unknot::cli
