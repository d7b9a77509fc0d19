// SPDX-License-Identifier: Apache-2.0
// What the doctor prints on stdout.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/judge/examine.h"
#include "cli/say/style.h"

namespace unknot::cli {

// `report`: the file that was written, or empty.
void print_text(const Examination& found, const std::string& report);
// How many of each, before any were left out.
struct Tally {
    explicit Tally(const std::vector<Examination>& found);
    std::map<Verdict, std::size_t> verdicts;
    std::size_t all = 0, readable = 0;
};
int severity(Verdict verdict);
Colour colour_of(Verdict verdict);
void print_table(const std::vector<Examination>& found, const std::vector<std::string>& reports, const Tally& tally);
void print_json(const std::vector<Examination>& found, const std::vector<std::string>& reports);

// The body of the text output without colours, for the report file.
std::string findings(const Examination& found, bool colours);

}  // namespace unknot::cli
