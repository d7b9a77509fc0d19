// SPDX-License-Identifier: Apache-2.0
// Runs the deadlock for real, without and with the shim, and says in a table what happened.
//   unknot_demo [--quick] [--runs N]
// Then the last main case hangs once more and is rescued.
// Ends with 0 when every main case hung in every run without the shim, no case hung with it, and the rescue worked.
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "examples/demo/cases.h"
#include "examples/demo/pair.h"
#include "examples/demo/rescue.h"

namespace {

using demo::Case;
using demo::PairResult;
using unknot::process::Outcome;

#if defined(__x86_64__)
constexpr bool rescue_is_proved = true;
#else
constexpr bool rescue_is_proved = false;
#endif

struct Options {
    bool quick = false;
    int runs = 1;
};

struct Row {
    Case which;
    int runs = 0;
    int hung_without = 0;
    int hung_with = 0;
    std::uint64_t diverted = 0;
    std::string trouble = {};

    void add(const PairResult& pair) {
        ++runs;
        hung_without += pair.without.outcome == Outcome::hung ? 1 : 0;
        hung_with += pair.with.outcome == Outcome::hung ? 1 : 0;
        diverted += pair.diverted;
        if (trouble.empty()) trouble = pair.trouble;
    }
    bool as_claimed() const { return trouble.empty() && hung_with == 0 && (!which.main || hung_without == runs); }
};

std::string verdict(int hung, int runs, const std::string& trouble) {
    if (!trouble.empty()) return "?";
    if (runs == 1) return hung == 1 ? "HANGS" : "runs";
    return (hung == 0 ? "runs " : "HANGS ") + std::to_string(hung == 0 ? runs : hung) + "/" + std::to_string(runs);
}

// Within 80 columns.
void print_table(const std::vector<Row>& rows) {
    const char* const format = "%-14s %-24s %-10s %-9s %-9s %8s\n";
    std::printf("\n");
    std::printf(format, "program", "allocator", "unwinder", "without", "with", "diverted");
    for (const Row& row : rows) {
        std::printf(format, row.which.program.c_str(), row.which.allocator.c_str(), row.which.method_shown.c_str(),
                    verdict(row.hung_without, row.runs, row.trouble).c_str(),
                    verdict(row.hung_with, row.runs, row.trouble).c_str(), std::to_string(row.diverted).c_str());
    }
    for (const Row& row : rows) {
        if (row.as_claimed()) continue;
        const char* why = !row.trouble.empty() ? row.trouble.c_str()
                          : row.hung_with > 0  ? "hung with the shim"
                                               : "did not hang without the shim in every run";
        std::printf("NOT AS CLAIMED: %s on %s (%s): %s\n", row.which.program.c_str(), row.which.allocator.c_str(),
                    row.which.method_shown.c_str(), why);
    }
}

// What a reader has just seen, and what to type next. Within 80 columns.
void print_closing(const std::vector<Row>& rows, bool rescued, const std::filesystem::path& folder) {
    int hung = 0;
    int kept = 0;
    std::uint64_t diverted = 0;
    for (const Row& row : rows) {
        hung += row.hung_without > 0 ? 1 : 0;
        kept += row.hung_with == 0 ? 1 : 0;
        diverted += row.diverted;
    }
    const std::string command = std::filesystem::proximate(folder / "unknot").string();
    std::printf(
        "\nWhat was seen\n"
        "  %d of %zu programs hung without Unknot: one thread owned the loader's lock and\n"
        "  wanted the allocator's, another the other way round. With it %d of %zu ran to\n"
        "  their end; %llu allocations under the loader's lock were diverted.%s\n",
        hung, rows.size(), kept, rows.size(), static_cast<unsigned long long>(diverted),
        rescued ? "\n  A JVM that hung without it was brought back, and did all of its work." : "");
    std::printf(
        "\nWhat to do next\n"
        "  is it so with what is installed here?   %s check\n"
        "  is a process of yours at risk, or dead? %s doctor PID\n"
        "  bring a dead one back                   %s rescue PID\n"
        "  start one protected                     %s run -- PROGRAM\n"
        "  install it                              docs/install.md\n",
        command.c_str(), command.c_str(), command.c_str(), command.c_str());
}

bool read_options(int argc, char** argv, Options& options) {
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--quick") == 0) {
            options.quick = true;
        } else if (std::strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
            const char* text = argv[++i];
            const char* end = text + std::strlen(text);
            const auto [stop, error] = std::from_chars(text, end, options.runs);
            if (error != std::errc{} || stop != end || options.runs < 1) return false;
        } else {
            return false;
        }
    }
    return true;
}

bool run_all(const Options& options) {
    const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    const std::vector<Case> cases = demo::all_cases(folder);
    for (const Case& which : cases) {
        if (std::filesystem::exists(folder / which.shim)) continue;
        throw std::runtime_error("there is no " + (folder / which.shim).string() + ": build it first");
    }
    std::vector<Row> rows;
    bool as_claimed = true;
    for (const Case& which : cases) {
        if (options.quick && !which.main) continue;
        Row row{which};
        const int runs = which.main ? options.runs : 1;
        for (int run = 1; run <= runs; ++run) {
            std::string title = which.program + ", " + which.allocator + ", " + which.method_shown;
            if (runs > 1) title += ", run " + std::to_string(run) + " of " + std::to_string(runs);
            row.add(demo::run_pair(which, folder, title));
        }
        as_claimed = as_claimed && row.as_claimed();
        rows.push_back(row);
    }
    print_table(rows);
    // The last of the cases that hang for certain.
    const Row* hung = nullptr;
    for (const Row& row : rows)
        if (row.which.main) hung = &row;
    bool rescued = false;
    if (hung != nullptr && rescue_is_proved) {
        rescued = demo::show_rescue(hung->which, folder);
        if (!rescued) std::printf("NOT AS CLAIMED: it was not brought back\n");
        as_claimed = as_claimed && rescued;
    }
    print_closing(rows, rescued, folder);
    return as_claimed;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    if (!read_options(argc, argv, options)) {
        std::fprintf(stderr, "usage: unknot_demo [--quick] [--runs N], N a number from 1; nothing was run\n");
        return 2;
    }
    // The programs are in process groups of their own, so Ctrl-C reaches us alone; we end them on the way out.
    struct sigaction stop {};
    stop.sa_handler = [](int) { demo::stop_requested = 1; };
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &stop, nullptr);
    try {
        return run_all(options) ? 0 : 1;
    } catch (const demo::Interrupted&) {
        std::printf("\ninterrupted; every program has been ended\n");
        return 130;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "unknot_demo: %s\n", error.what());
        return 1;
    }
}
