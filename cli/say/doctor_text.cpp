// SPDX-License-Identifier: Apache-2.0
// The doctor's findings for people.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <optional>

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
        case Verdict::unknown:
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
    const std::string verdict = cli::name_of(found.judgement.verdict);
    if (found.is_core)
        fmt::format_to(out, "core dump of process {} ({}): {}\n", found.pid, found.name, verdict);
    else if (found.pid != 0)
        fmt::format_to(out, "process {} ({}{}): {}\n", found.pid, found.name,
                       found.place.empty() ? "" : ", " + found.place, verdict);
    else
        fmt::format_to(out, "{}, if started now: {}\n", found.name, verdict);
    if (!found.libc.name.empty()) {
        row("program", found.executable + (found.machine.empty() ? "" : ", " + found.machine) +
                           (found.libc.is_static ? ", static" : ""));
        row("libc", found.libc.name + (found.libc.version.empty() ? "" : " " + found.libc.version));
        row("allocator", describe_allocator(found));
        row("stack traces", describe_stack_method(found));
        for (const Walker& walker : found.walkers) row("walker", describe_walker(walker));
        row("shim", describe_shim(found));
    }
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
    text = harmless(std::move(text));
    const std::size_t end = text.find('\n'), at = text.rfind(verdict, end);
    return text.replace(at, verdict.size(), coloured(verdict, colour_of(found.judgement.verdict), colours));
}

void print_text(const Examination& found, const std::string& report) {
    fmt::print("{}", findings(found, colours_wanted(STDOUT_FILENO)));
    if (!report.empty()) fmt::print("report\n  {}\n", report);
}

int severity(Verdict verdict) {
    const auto* at = std::find(std::begin(every_verdict), std::end(every_verdict), verdict);
    return static_cast<int>(std::end(every_verdict) - at);
}

Tally::Tally(const std::vector<Examination>& found) : all(found.size()) {
    for (const Examination& each : found) {
        ++verdicts[each.judgement.verdict];
        readable += each.missing_permission.empty() ? 1 : 0;
    }
}

void print_table(const std::vector<Examination>& found, const std::vector<std::string>& reports, const Tally& tally) {
    const bool colours = colours_wanted(STDOUT_FILENO);
    const std::size_t width = columns(STDOUT_FILENO);
    std::size_t place = 0, allocator = 9;
    for (const Examination& each : found) {
        place = std::max(place, each.place.size());
        allocator = std::max(allocator, allocator_name(each).size());
    }
    // A row as it would be without a colour, and the verdict's place in it.
    const auto line = [&](const std::string& pid, const std::string& name, const std::string& where,
                          const std::string& verdict, const std::string& malloc, const std::string& why,
                          std::optional<Verdict> colour) {
        std::string begin = fmt::format("{:>8}  {:<15}  ", pid, name);
        if (place != 0) begin += fmt::format("{:<{}}  ", where, place);
        std::string rest = fmt::format("  {:<{}}  {}", malloc, allocator, why);
        const std::string middle = fmt::format("{:<12}", verdict);
        const std::size_t used = begin.size() + middle.size();
        if (width > used && used + rest.size() > width) rest.resize(width - used - 1), rest += '>';
        while (rest.ends_with(' ')) rest.pop_back();
        begin = harmless(std::move(begin)), rest = harmless(std::move(rest));
        fmt::print("{}{}{}\n", begin, colour ? coloured(middle, colour_of(*colour), colours) : middle, rest);
    };
    if (!found.empty()) line("PID", "NAME", "WHERE", "VERDICT", "ALLOCATOR", "WHY", std::nullopt);
    for (const Examination& each : found)
        line(std::to_string(each.pid), each.name, each.place, cli::name_of(each.judgement.verdict),
             allocator_name(each), main_reason(each), each.judgement.verdict);
    for (std::size_t i = 0; i < reports.size(); ++i)
        if (!reports[i].empty()) fmt::print("report of process {}: {}\n", found[i].pid, reports[i]);
    std::string summary = fmt::format("{} processes:", tally.all);
    const char* comma = " ";
    for (const Verdict verdict : every_verdict) {
        const auto count = tally.verdicts.find(verdict);
        summary +=
            fmt::format("{}{} {}", comma, count == tally.verdicts.end() ? 0 : count->second, cli::name_of(verdict));
        comma = ", ";
    }
    fmt::print("{}\n", summary);
    if (tally.readable != tally.all)
        fmt::print("{} of them may not be read: {}\n", tally.all - tally.readable, missing_permission());
}

}  // namespace unknot::cli
