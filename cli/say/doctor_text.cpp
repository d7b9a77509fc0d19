// SPDX-License-Identifier: Apache-2.0
// The doctor's findings for people.
#include <fmt/format.h>
#include <unistd.h>

#include <iterator>

#include "cli/say/doctor_output.h"
#include "cli/say/style.h"
#include "cli/say/words.h"

namespace unknot::cli {
namespace {

Colour colour_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::deadlocked:
            return Colour::red;
        case Verdict::at_risk:
            return Colour::yellow;
        default:
            return Colour::green;
    }
}

}  // namespace

std::string findings(const Examination& found, bool colours) {
    std::string text;
    const auto out = std::back_inserter(text);
    const auto row = [&](const char* label, const std::string& value) {
        fmt::format_to(out, "  {:<13} {}\n", label, value);
    };
    const std::string verdict =
        coloured(cli::name_of(found.judgement.verdict), colour_of(found.judgement.verdict), colours);
    if (found.is_core)
        fmt::format_to(out, "core dump of process {} ({}): {}\n", found.pid, found.name, verdict);
    else if (found.pid != 0)
        fmt::format_to(out, "process {} ({}): {}\n", found.pid, found.name, verdict);
    else
        fmt::format_to(out, "{}, if started now: {}\n", found.name, verdict);
    row("program", found.executable + (found.machine.empty() ? "" : ", " + found.machine) +
                       (found.libc.is_static ? ", static" : ""));
    row("libc", found.libc.name + (found.libc.version.empty() ? "" : " " + found.libc.version));
    row("allocator", describe_allocator(found));
    row("stack traces", describe_stack_method(found));
    for (const Walker& walker : found.walkers) row("walker", fmt::format("{} ({})", walker.what, walker.object));
    row("shim", describe_shim(found));
    if (found.page && (found.page->page.mode == Mode::observe || found.page->both_edges_seen())) {
        row("witness", verdict_of_witness(*found.page));
        for (const Witness& each : found.page->under_loader_lock)
            row("", fmt::format("allocates under a loader lock: {}, {} times", each.place, each.count));
        for (const Witness& each : found.page->inside_allocator)
            row("", fmt::format("walks from inside the allocator: {}, {} times", each.place, each.count));
    }
    fmt::format_to(out, "why\n");
    for (const Reason reason : found.judgement.reasons) fmt::format_to(out, "  - {}\n", sentence(reason, found));
    if (found.deadlock.seen) {
        fmt::format_to(out, "the cycle\n");
        for (const CycleStep& step : found.deadlock.cycle) fmt::format_to(out, "  - {}\n", sentence(step));
    }
    if (found.judgement.advice.count != 0) {
        fmt::format_to(out, "what to do, best first\n");
        int number = 0;
        for (const Advice advice : found.judgement.advice)
            fmt::format_to(out, "  {}. {}\n", ++number, sentence(advice, found));
    }
    if (!found.notes.empty()) fmt::format_to(out, "notes\n");
    for (const std::string& note : found.notes) fmt::format_to(out, "  - {}\n", note);
    return text;
}

void print_text(const Examination& found, const std::string& report) {
    fmt::print("{}", findings(found, colours_wanted(STDOUT_FILENO)));
    if (!report.empty()) fmt::print("report\n  {}\n", report);
}

void print_table(const std::vector<Examination>& found, const std::vector<std::string>& reports) {
    const bool colours = colours_wanted(STDOUT_FILENO);
    fmt::print("{:>8}  {:<15}  {:<12}  {:<16}  {}\n", "PID", "NAME", "VERDICT", "ALLOCATOR", "WHY");
    for (const Examination& each : found) {
        const auto& reasons = each.judgement.reasons;
        const std::string padded = fmt::format("{:<12}", cli::name_of(each.judgement.verdict));
        fmt::print("{:>8}  {:<15}  {}  {:<16}  {}\n", each.pid, each.name,
                   coloured(padded, colour_of(each.judgement.verdict), colours), allocator_name(each),
                   reasons.count == 0 ? "" : sentence(reasons.items[0], each));
    }
    for (std::size_t i = 0; i < reports.size(); ++i)
        if (!reports[i].empty()) fmt::print("report of process {}: {}\n", found[i].pid, reports[i]);
}

}  // namespace unknot::cli
