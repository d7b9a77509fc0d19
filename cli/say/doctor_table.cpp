// SPDX-License-Identifier: Apache-2.0
// Many processes, a line each, as wide as the terminal.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "cli/read/permission.h"
#include "cli/say/doctor_output.h"
#include "cli/say/style.h"
#include "cli/say/words.h"

namespace unknot::cli {
namespace {

enum Column { of_pid, of_name, of_place, of_verdict, of_allocator, of_why };
using Row = std::array<std::string, 6>;
constexpr const char* gap = "  ";

std::string cut(std::string text, std::size_t width) {
    if (text.size() > width) text.resize(width - 1), text += '>';
    return text;
}

// As wide as what stands in them. Where a container's long name would leave the reasons no room, it is cut.
class Widths {
  public:
    Widths(const std::vector<Row>& rows, std::size_t terminal) : terminal_(terminal) {
        for (const Row& row : rows)
            for (std::size_t i = 0; i < row.size(); ++i) width_[i] = std::max(width_[i], row[i].size());
        constexpr std::size_t least_reason = 30, least_place = 8;
        std::size_t others = least_reason + 2;
        for (const Column each : {of_pid, of_name, of_verdict, of_allocator}) others += width_[each] + 2;
        const std::size_t room = terminal > others + least_place ? terminal - others : least_place;
        if (terminal != 0) width_[of_place] = std::min(width_[of_place], room);
    }

    // The verdict's place in it, so that it can be coloured.
    std::string line(const Row& row, std::size_t& at) const {
        std::string text = fmt::format("{:>{}}", row[of_pid], width_[of_pid]);
        for (const Column each : {of_name, of_place, of_verdict, of_allocator}) {
            if (each == of_verdict) at = text.size() + 2;
            if (width_[each] == 0) continue;  // nobody is anywhere
            text += fmt::format("{}{:<{}}", gap, cut(row[each], width_[each]), width_[each]);
        }
        text += gap + row[of_why];
        while (text.ends_with(' ')) text.pop_back();
        return harmless(terminal_ == 0 ? text : cut(text, terminal_));
    }

  private:
    std::array<std::size_t, 6> width_{};
    std::size_t terminal_;
};

void print_summary(const Tally& tally) {
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

}  // namespace

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
    const bool somewhere =
        std::any_of(found.begin(), found.end(), [](const auto& each) { return !each.place.empty(); });
    std::vector<Row> rows = {{"PID", "NAME", somewhere ? "WHERE" : "", "VERDICT", "ALLOCATOR", "WHY"}};
    for (const Examination& each : found)
        rows.push_back({std::to_string(each.pid), each.name, each.place, cli::name_of(each.judgement.verdict),
                        allocator_name(each), main_reason(each)});
    const Widths widths(rows, columns(STDOUT_FILENO));
    for (std::size_t i = 0; i < rows.size() && !found.empty(); ++i) {
        std::size_t at = 0;
        std::string text = widths.line(rows[i], at);
        const std::string& word = rows[i][of_verdict];
        if (i != 0 && at < text.size() && text.compare(at, word.size(), word) == 0)
            text.replace(at, word.size(), coloured(word, colour_of(found[i - 1].judgement.verdict), colours));
        fmt::print("{}\n", text);
    }
    for (std::size_t i = 0; i < reports.size(); ++i)
        if (!reports[i].empty()) fmt::print("report of process {}: {}\n", found[i].pid, reports[i]);
    print_summary(tally);
}

}  // namespace unknot::cli
