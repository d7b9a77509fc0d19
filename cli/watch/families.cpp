// SPDX-License-Identifier: Apache-2.0
#include "cli/watch/families.h"

#include <string>
#include <utility>

#include "cli/say/stat_output.h"
#include "cli/say/words.h"

namespace unknot::cli {
namespace {

using Families = std::vector<prometheus::MetricFamily>;
using Labels = std::vector<prometheus::ClientMetric::Label>;

prometheus::MetricFamily& begin(Families& all, std::string name, std::string help, prometheus::MetricType type) {
    all.push_back({std::move(name), std::move(help), type, {}});
    return all.back();
}

void add(prometheus::MetricFamily& family, Labels labels, double value) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    (family.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    family.metric.push_back(std::move(metric));
}

Labels labels_of(const Group& group) {
    Labels labels = {{"scope", group.scope}, {"program", group.program}};
    if (group.pid != 0) labels.push_back({"pid", std::to_string(group.pid)});
    return labels;
}

Labels with(Labels labels, const Labels& more) {
    labels.insert(labels.end(), more.begin(), more.end());
    return labels;
}

void add_processes(Families& all, const Host& host, const Totals& totals) {
    std::map<std::pair<Group, Verdict>, double> by_verdict;
    std::map<Group, std::map<std::vector<std::string>, double>> by_shim;
    double unreadable = 0;
    for (const auto& [pid, process] : host.processes()) {
        const Examination& found = process.found;
        if (!found.missing_permission.empty()) {
            ++unreadable;
            continue;
        }
        const Group group = totals.group_of(found);
        ++by_verdict[{group, found.judgement.verdict}];
        if (!found.shim.present) continue;
        ++by_shim[group][{name_of(found.shim.mode), found.page ? found.page->library_version : "",
                          name_of(found.shim.probe), found.shim_outdated ? "true" : "false"}];
    }
    auto& processes =
        begin(all, "unknot_watch_processes", "Processes by what was found about them.", prometheus::MetricType::Gauge);
    for (const auto& [key, count] : by_verdict)
        add(processes, with(labels_of(key.first), {{"verdict", cli::name_of(key.second)}}), count);
    auto& shims = begin(all, "unknot_watch_shim_processes",
                        "Processes that have the shim; outdated: the file at its path is another build now, or gone.",
                        prometheus::MetricType::Gauge);
    for (const auto& [group, kinds] : by_shim)
        for (const auto& [kind, count] : kinds)
            add(shims,
                with(labels_of(group),
                     {{"mode", kind[0]}, {"version", kind[1]}, {"calibration", kind[2]}, {"outdated", kind[3]}}),
                count);
    add(begin(all, "unknot_watch_unreadable_processes",
              "Processes that may not be read, so that nothing is known of them.", prometheus::MetricType::Gauge),
        {}, unreadable);
}

// Counters as they add up over all processes that have been; gauges over those that are there.
void add_statistics(Families& all, const Host& host, const Totals& totals) {
    const auto& rows = counter_rows();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        auto& family = begin(all, family_of(rows[i]), rows[i].help,
                             rows[i].is_gauge ? prometheus::MetricType::Gauge : prometheus::MetricType::Counter);
        std::map<Group, double> values;
        if (!rows[i].is_gauge)
            for (const auto& [group, sums] : totals.sums())
                if (!sums.counters.empty()) values[group] = static_cast<double>(sums.counters[i]);
        for (const auto& [pid, process] : host.processes())
            if (rows[i].is_gauge && process.found.page && process.found.page->has(i))
                values[totals.group_of(process.found)] += static_cast<double>(process.found.page->page.*rows[i].field);
        for (const auto& [group, value] : values) add(family, labels_of(group), value);
    }
}

void add_events(Families& all, const Totals& totals, bool rescues) {
    auto& deadlocks = begin(all, "unknot_watch_deadlocks_total", "Deadlocks that were seen, each once.",
                            prometheus::MetricType::Counter);
    for (const auto& [group, sums] : totals.sums())
        add(deadlocks, labels_of(group), static_cast<double>(sums.deadlocks));
    if (!rescues) return;
    auto& tried = begin(all, "unknot_watch_rescues_total", "Rescues that were tried, by how they ended.",
                        prometheus::MetricType::Counter);
    for (const auto& [group, sums] : totals.sums())
        for (const auto& [result, name] :
             {std::pair(RescueResult::moves, "moves"), std::pair(RescueResult::dead, "dead"),
              std::pair(RescueResult::refused, "refused")}) {
            const auto count = sums.rescues.find(result);
            add(tried, with(labels_of(group), {{"result", name}}),
                count == sums.rescues.end() ? 0 : static_cast<double>(count->second));
        }
}

void add_own_cost(Families& all, const OwnCost& cost) {
    const auto one = [&](const char* name, const char* help, prometheus::MetricType type, double value) {
        add(begin(all, name, help, type), {}, value);
    };
    using prometheus::MetricType;
    one("unknot_watch_round_duration_seconds", "How long the last round took.", MetricType::Gauge, cost.round_s);
    one("unknot_watch_rounds_total", "Rounds so far.", MetricType::Counter, static_cast<double>(cost.rounds));
    one("unknot_watch_last_round_timestamp_seconds", "When the last round ended.", MetricType::Gauge,
        cost.last_round_at_s);
    one("unknot_watch_cpu_seconds_total", "CPU time of the watcher itself.", MetricType::Counter, cost.cpu_s);
    one("unknot_watch_resident_bytes", "Memory of the watcher itself.", MetricType::Gauge,
        static_cast<double>(cost.resident_bytes));
    add(begin(all, "unknot_watch_build_info", "Always 1.", MetricType::Gauge), {{"version", UNKNOT_VERSION}}, 1);
}

}  // namespace

std::vector<prometheus::MetricFamily> families_of(const Host& host, const Totals& totals, const OwnCost& cost,
                                                  bool rescues) {
    Families all;
    add_processes(all, host, totals);
    add_events(all, totals, rescues);
    add_statistics(all, host, totals);
    add_own_cost(all, cost);
    return all;
}

}  // namespace unknot::cli
