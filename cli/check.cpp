// SPDX-License-Identifier: Apache-2.0
// `unknot check`: does the shim work on this very system? Runs the deadlock without and with it, over an allocator of
// its own that has both edges everywhere and over every known allocator that is installed, and says what was found.
#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/check_run.h"
#include "cli/commands.h"
#include "cli/judge/preload.h"
#include "cli/read/program.h"
#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

struct Row {
    std::string name;
    std::string soname;  // empty: libc's malloc, for the fork
    Reproduction what = Reproduction::two_locks;
    bool must_hang = false;  // without the shim, or the reproducer shows nothing
    Run without = {}, with = {};
};

std::vector<Row> rows_here(const Program& self, const std::string& shim, const std::string& own_allocator) {
    std::vector<Row> rows;
    rows.push_back({.name = "the check's own", .soname = own_allocator, .must_hang = true});
    for (const std::string& soname : known_allocators()) {
        PreloadList list;
        list.entries = {shim, soname};
        list.has_allocator = true;
        try {
            check_preload(self, list);
        } catch (const Trouble&) {
            continue;  // not installed
        }
        rows.push_back({.name = soname, .soname = soname});
    }
    rows.push_back(
        {.name = "a fork beside a walk", .soname = "", .what = Reproduction::fork_beside_walk, .must_hang = true});
    return rows;
}

bool is_good(const Row& row) {
    if (row.with.outcome != Outcome::runs || !row.with.page) return false;
    const StatsPage& page = row.with.page->page;
    if (page.probe != Probe::owner_words || page.forwarded != 0) return false;
    if (row.must_hang && row.without.outcome != Outcome::hangs) return false;
    return row.what != Reproduction::two_locks || page.diverted > 0;
}

std::string failure(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        if (is_good(row)) continue;
        if (row.must_hang && row.without.outcome != Outcome::hangs)
            return fmt::format("{}: did not hang without the shim, so that it runs with it shows nothing", row.name);
        if (row.with.outcome != Outcome::runs)
            return fmt::format("{}: {} with the shim{}", row.name, word_for(row.with.outcome),
                               row.with.detail.empty() ? "" : " (" + row.with.detail + ")");
        if (!row.with.page) return fmt::format("{}: the loader did not preload the shim", row.name);
        if (row.with.page->page.probe != Probe::owner_words)
            return "the loader's locks were not found: only walks are protected, not dlopen and dlclose";
        return fmt::format("{}: the shim was not asked", row.name);
    }
    return "";
}

const PageReading* first_page(const std::vector<Row>& rows) {
    for (const Row& row : rows)
        if (row.with.page) return &*row.with.page;
    return nullptr;
}

void say_head(const std::string& shim) {
    fmt::print("unknot {}, {}\nglibc {}\n\n", UNKNOT_VERSION, shim, gnu_get_libc_version());
    fmt::print("{:<26} {:>8} {:>8} {:>10} {:>10} {:>10} {:>10}\n", "allocator", "without", "with", "diverted",
               "deferred", "snapshots", "averted");
    std::fflush(stdout);
}

void say_row(const Row& row) {
    fmt::print("{:<26} {:>8} {:>8}", row.name, word_for(row.without.outcome), word_for(row.with.outcome));
    if (row.what == Reproduction::two_locks && row.with.page) {
        const StatsPage& counts = row.with.page->page;
        fmt::print(" {:>10} {:>10} {:>10} {:>10}", counts.diverted, counts.deferred, counts.walks_from_snapshot,
                   counts.averted);
    }
    fmt::print("\n");
    std::fflush(stdout);
}

void say_verdict(const std::vector<Row>& rows, const std::string& problem) {
    const PageReading* page = first_page(rows);
    const bool found = page != nullptr && page->page.probe == Probe::owner_words;
    fmt::print("\nprobe {}: the loader's write lock and load lock {}\n",
               page == nullptr ? "none" : name_of(page->page.probe), found ? "found" : "not found");
    fmt::print("verdict: {}\n", problem.empty() ? "works on this system" : "DOES NOT WORK HERE: " + problem);
}

void say_json(const std::vector<Row>& rows, const std::string& shim, const std::string& problem) {
    nlohmann::ordered_json json;
    const PageReading* page = first_page(rows);
    json["version"] = UNKNOT_VERSION;
    json["library"] = shim;
    json["library_version"] = page == nullptr ? "" : page->library_version;
    json["glibc"] = gnu_get_libc_version();
    json["probe"] = page == nullptr ? "none" : name_of(page->page.probe);
    for (const Row& row : rows) {
        nlohmann::ordered_json each = {{"name", row.name},
                                       {"without", word_for(row.without.outcome)},
                                       {"with", word_for(row.with.outcome)},
                                       {"good", is_good(row)}};
        if (row.with.page) {
            each["diverted"] = row.with.page->page.diverted;
            each["walks_from_snapshot"] = row.with.page->page.walks_from_snapshot;
        }
        json["rows"].push_back(each);
    }
    json["works"] = problem.empty();
    json["problem"] = problem;
    fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace

int check(const CheckOptions& options) {
    const std::string shim = find_shim_library(options.library);
    const std::string own_allocator = shim.substr(0, shim.rfind('/')) + "/libunknot_check.so";
    if (access(own_allocator.c_str(), R_OK) != 0)
        throw Trouble(fmt::format("{}: {}; it belongs beside libunknot.so; nothing was checked", own_allocator,
                                  std::strerror(errno)));
    if (own_allocator.find_first_of(" :") != std::string::npos)
        throw Trouble(
            fmt::format("{}: LD_PRELOAD cannot hold a path with a space or a colon; nothing was checked", shim));
    std::vector<Row> rows = rows_here(find_program(own_path()), shim, own_allocator);
    if (!options.json) say_head(shim);
    for (Row& row : rows) {
        row.without = run_reproducer(row.what, row.soname);
        row.with = run_reproducer(row.what, row.soname.empty() ? shim : shim + ":" + row.soname);
        if (!options.json) say_row(row);
    }
    const std::string problem = failure(rows);
    options.json ? say_json(rows, shim, problem) : say_verdict(rows, problem);
    return problem.empty() ? exit_fine : exit_at_risk;
}

}  // namespace unknot::cli
