// SPDX-License-Identifier: Apache-2.0
// Verdicts, reasons and advice as sentences about one process; the same for text, JSON and the report file.
#pragma once

#include <string>
#include <vector>

#include "cli/judge/examine.h"

namespace unknot::cli {

std::string name_of(Verdict verdict);  // as printed: "at risk"
std::string key_of(Reason reason);     // as in JSON: "unwinds_with_libunwind"
std::string key_of(Advice advice);
std::string sentence(Reason reason, const Examination& found);
std::string sentence(Advice advice, const Examination& found);
std::string main_reason(const Examination& found);  // for one line
std::string sentence(const CycleStep& step);
bool goes_through_loader(const Deadlock& deadlock);
std::string title(const Walker& walker);  // with its version
std::string describe_walker(const Walker& walker);
std::string allocator_name(const Examination& found);
std::string describe_allocator(const Examination& found);
std::string describe_stack_method(const Examination& found);
std::string describe_shim(const Examination& found);
int exit_code_of(const Examination& found);

}  // namespace unknot::cli
