// SPDX-License-Identifier: Apache-2.0
// Files of /proc as text, and their parts. What does not parse is empty or zero.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace unknot::cli {

// /proc files report no size; read until the end. Sets `error` to errno, or 0.
std::string slurp(const std::string& path, int* error = nullptr);
std::vector<std::string> split(const std::string& text, char at);
// The fields of /proc/.../stat after the name, which may itself hold spaces and brackets. [0] is the state.
std::vector<std::string> stat_fields(const std::string& text);
// That name, without control characters: a program chooses it, and it goes to a terminal.
std::string stat_name(const std::string& text);
std::uint64_t number(const std::string& text, int base = 10);
// The last number of a "Name:\t1\t2" line of /proc/.../status; 0: no such line.
std::uint64_t status_number(const std::string& status, std::string_view key, int base = 10);
// The entries of a folder that are numbers, in order.
std::vector<pid_t> numeric_entries(const std::string& folder);

}  // namespace unknot::cli
