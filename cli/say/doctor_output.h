// SPDX-License-Identifier: Apache-2.0
// What the doctor prints on stdout.
#pragma once

#include <string>
#include <vector>

#include "cli/judge/examine.h"

namespace unknot::cli {

// `report`: the file that was written, or empty.
void print_text(const Examination& found, const std::string& report);
void print_table(const std::vector<Examination>& found, const std::vector<std::string>& reports);
void print_json(const std::vector<Examination>& found, const std::vector<std::string>& reports, bool single);

// The body of the text output without colours, for the report file.
std::string findings(const Examination& found, bool colours);

}  // namespace unknot::cli
