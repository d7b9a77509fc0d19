// SPDX-License-Identifier: Apache-2.0
// `unknot stat`: the statistics page of one, some or all processes, once or again and again.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <thread>

#include "cli/commands.h"
#include "cli/read/permission.h"
#include "cli/read/trouble.h"
#include "cli/say/stat_output.h"

namespace unknot::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct Look {
    StatRow row;
    Clock::time_point when;
};

StatRow read_row(int pid) {
    const Process process(pid);
    const Objects objects = objects_of(process, process.mappings());
    auto reading = read_page(process, objects);
    if (!reading) {
        process.expect_still_the_same();
        if (!process.denied().empty())
            throw NotPermitted(fmt::format("cannot read the memory of process {}: {}", pid, process.denied()));
        throw Trouble(fmt::format("the shim is not loaded in process {} ({}); start it with unknot run -- COMMAND", pid,
                                  process.name()));
    }
    return {pid, process.name(), std::move(*reading), {}};
}

void add_rates(StatRow& row, Clock::time_point now, const std::map<int, Look>& before) {
    const auto last = before.find(row.pid);
    if (last == before.end()) return;
    const double seconds = std::chrono::duration<double>(now - last->second.when).count();
    for (const CounterRow& counter : counter_rows()) {
        const std::uint64_t was = last->second.row.reading.page.*counter.field, is = row.reading.page.*counter.field;
        row.rates.push_back(seconds > 0 && is >= was ? static_cast<double>(is - was) / seconds : 0);
    }
}

void show(const std::vector<StatRow>& rows, const StatOptions& options) {
    std::string text;
    switch (options.format) {
        case StatFormat::json:
            text = json_of(rows, !options.watch.has_value());
            break;
        case StatFormat::openmetrics:
            text = openmetrics_of(rows);
            break;
        case StatFormat::text:
            for (const StatRow& row : rows) text += text_of(row);
            if (rows.empty()) text = "no process has the shim loaded\n";
            // Home, draw, clear what is left: no flicker, and nothing stays in the scroll-back.
            if (options.watch && isatty(STDOUT_FILENO) == 1)
                text = "\033[H" + text + "\033[J";
            else if (options.watch)
                text += "\n";
            break;
    }
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (std::fflush(stdout) != 0) throw Trouble(fmt::format("stdout: {}", std::strerror(errno)));
}

}  // namespace

int stat(const StatOptions& options) {
    std::map<int, Look> before;
    for (int round = 0;; ++round) {
        std::vector<int> pids = options.pids;
        if (options.all) pids = all_processes();
        std::vector<StatRow> rows;
        std::map<int, Look> looks;
        int code = exit_fine, not_permitted = 0;
        for (const int pid : pids) {
            try {
                StatRow row = read_row(pid);
                const auto now = Clock::now();
                add_rates(row, now, before);
                looks[pid] = {row, now};
                rows.push_back(std::move(row));
            } catch (const NotPermitted& trouble) {
                ++not_permitted;
                code = exit_trouble;
                if (!options.all) fmt::print(stderr, "unknot: {}\n", trouble.what());
            } catch (const Trouble& trouble) {
                if (options.all) continue;  // no shim there, or gone
                // A watched process that ends is the end of the watch, not a failure.
                fmt::print(stderr, "unknot: {}\n", trouble.what());
                if (!before.contains(pid)) code = exit_trouble;
            }
        }
        if (options.all && not_permitted > 0 && round == 0)
            fmt::print(stderr, "unknot: {} processes could not be read: {}\n", not_permitted, missing_permission());
        if (options.all && !rows.empty()) code = exit_fine;
        if (!rows.empty() || options.all) show(rows, options);
        if (!options.watch || (rows.empty() && !options.all) || options.rounds == round + 1) return code;
        before = std::move(looks);
        std::this_thread::sleep_for(std::chrono::duration<double>(*options.watch));
    }
}

}  // namespace unknot::cli
