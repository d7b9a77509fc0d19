// SPDX-License-Identifier: Apache-2.0
// Colours: only on a terminal, and not with NO_COLOR (no-color.org) or TERM=dumb.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace unknot::cli {

enum class Colour { plain, bold, red, yellow, green };

bool colours_wanted(int fd);
// Of the terminal, or as COLUMNS says; 0: no limit.
std::size_t columns(int fd);
// Names of files come from others: control characters, which a terminal would obey, become question marks. Lines stay.
std::string harmless(std::string text);
std::string coloured(std::string_view text, Colour colour, bool wanted);

}  // namespace unknot::cli
