// SPDX-License-Identifier: Apache-2.0
// The doctor's findings for people.
#include <fmt/format.h>
#include <unistd.h>

#include <iterator>
#include <utility>

#include "cli/say/doctor_output.h"
#include "cli/say/stat_output.h"
#include "cli/say/style.h"
#include "cli/say/words.h"

namespace unknot::cli {

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
    if (found.page) {
        if (found.page->page.mode == Mode::observe || found.page->both_edges_seen())
            row("witness", verdict_of_witness(*found.page));
        const char* label = "seen";
        for (const std::string& line : lines_of_witnesses(*found.page)) row(std::exchange(label, ""), line);
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

}  // namespace unknot::cli
