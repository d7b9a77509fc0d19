// SPDX-License-Identifier: Apache-2.0
// Text and JSON of the statistics.
#include "cli/say/stat_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "cli/judge/allocator_facts.h"
#include "cli/say/schema.h"

namespace unknot::cli {
namespace {

std::string amount(std::uint64_t value, std::string_view unit) {
    if (unit != "bytes" || value < 1024) return fmt::format("{}", value);
    constexpr const char* steps[] = {"KiB", "MiB", "GiB", "TiB"};
    double scaled = static_cast<double>(value) / 1024;
    std::size_t step = 0;
    for (; scaled >= 1024 && step + 1 < std::size(steps); ++step) scaled /= 1024;
    return fmt::format("{} ({:.1f} {})", value, scaled, steps[step]);
}

std::vector<std::string> flags_of(const StatsPage& page) {
    std::vector<std::string> found;
    const auto add = [&](StatsFlag flag, const char* text) {
        if ((page.flags & static_cast<std::uint32_t>(flag)) != 0) found.emplace_back(text);
    };
    add(StatsFlag::not_on_path, "not_on_path");
    add(StatsFlag::wrong_order, "wrong_order");
    add(StatsFlag::static_reserve, "static_reserve");
    return found;
}

}  // namespace

std::vector<std::string> lines_of_witnesses(const PageReading& reading) {
    constexpr std::size_t most = 5;
    std::vector<std::string> lines;
    const std::vector<Witness>& under = reading.under_loader_lock;
    if (!under.empty()) lines.push_back(fmt::format("under a loader lock: {}", describe(by_object(under))));
    for (std::size_t i = 0; i < std::min(under.size(), most); ++i)
        lines.push_back(fmt::format("allocates or frees there: {}, {} times", under[i].describe(), under[i].count));
    if (under.size() > most) lines.push_back(fmt::format("and from {} more places", under.size() - most));
    for (const Witness& each : reading.inside_allocator)
        lines.push_back(fmt::format("walks from inside the allocator: {}, {} times", each.describe(), each.count));
    return lines;
}

std::string text_of(const StatRow& row) {
    const StatsPage& page = row.reading.page;
    std::string text;
    const auto out = std::back_inserter(text);
    fmt::format_to(out, "process {} ({}): mode {}, probe {}, allocator {}, walks {}, version {}\n", row.pid, row.name,
                   name_of(page.mode), name_of(page.probe), name_of(page.allocator), name_of(page.walk_mode),
                   row.reading.library_version);
    for (const std::string& flag : flags_of(page)) fmt::format_to(out, "  flag {}\n", flag);
    const auto& rows = counter_rows();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (!row.reading.has(i)) continue;
        fmt::format_to(out, "  {:<20} {:>24}", rows[i].name, amount(page.*rows[i].field, rows[i].unit));
        if (i < row.rates.size() && !rows[i].is_gauge) fmt::format_to(out, "  {:>14.1f}/s", row.rates[i]);
        fmt::format_to(out, "\n");
    }
    if (page.mode == Mode::observe || row.reading.both_edges_seen())
        fmt::format_to(out, "  verdict: {}\n", verdict_of_witness(row.reading));
    for (const std::string& line : lines_of_witnesses(row.reading)) fmt::format_to(out, "  {}\n", line);
    for (const std::string& note : row.reading.notes) fmt::format_to(out, "  note: {}\n", note);
    return text;
}

nlohmann::ordered_json json_of_page(const PageReading& reading) {
    const StatsPage& page = reading.page;
    nlohmann::ordered_json json;
    json["library"] = reading.library;
    json["library_version"] = reading.library_version;
    json["page_version"] = page.version;
    json["mode"] = name_of(page.mode);
    json["probe"] = name_of(page.probe);
    json["allocator"] = name_of(page.allocator);
    json["walk_mode"] = name_of(page.walk_mode);
    json["flags"] = flags_of(page);
    const auto& rows = counter_rows();
    json["counters"] = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (reading.has(i)) json["counters"][rows[i].name] = page.*rows[i].field;
    const auto list = [](const std::vector<Witness>& witnesses) {
        auto array = nlohmann::ordered_json::array();
        for (const Witness& each : witnesses)
            array.push_back(
                {{"place", each.place()}, {"object", each.object}, {"function", each.function}, {"count", each.count}});
        return array;
    };
    json["under_loader_lock"] = list(reading.under_loader_lock);
    json["inside_allocator"] = list(reading.inside_allocator);
    json["witness_verdict"] = verdict_of_witness(reading);
    json["notes"] = reading.notes;
    return json;
}

std::string json_of(const std::vector<StatRow>& rows, bool indented) {
    auto all = nlohmann::ordered_json::array();
    for (const StatRow& row : rows) {
        nlohmann::ordered_json json;
        json["schema"] = schema_version;
        json["pid"] = row.pid;
        json["name"] = row.name;
        json.update(json_of_page(row.reading));
        if (!row.rates.empty()) {
            json["per_second"] = nlohmann::ordered_json::object();
            for (std::size_t i = 0; i < counter_rows().size() && i < row.rates.size(); ++i)
                if (row.reading.has(i) && !counter_rows()[i].is_gauge)
                    json["per_second"][counter_rows()[i].name] = row.rates[i];
        }
        all.push_back(std::move(json));
    }
    return all.dump(indented ? 2 : -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace unknot::cli
