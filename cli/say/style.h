// SPDX-License-Identifier: Apache-2.0
// Colours: only on a terminal, and not with NO_COLOR (no-color.org) or TERM=dumb.
#pragma once

#include <string>
#include <string_view>

namespace unknot::cli {

enum class Colour { plain, bold, red, yellow, green };

bool colours_wanted(int fd);
std::string coloured(std::string_view text, Colour colour, bool wanted);

}  // namespace unknot::cli
