// SPDX-License-Identifier: Apache-2.0
// Terminal attributes, SGR sequences only.
#include "cli/say/style.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace unknot::cli {

bool colours_wanted(int fd) {
    const char* no_color = std::getenv("NO_COLOR");
    if (no_color != nullptr && *no_color != '\0') return false;
    const char* term = std::getenv("TERM");
    if (term != nullptr && std::strcmp(term, "dumb") == 0) return false;
    return isatty(fd) == 1;
}

std::string coloured(std::string_view text, Colour colour, bool wanted) {
    if (!wanted || colour == Colour::plain) return std::string(text);
    const char* code = "1";
    if (colour == Colour::red) code = "1;31";
    if (colour == Colour::yellow) code = "1;33";
    if (colour == Colour::green) code = "1;32";
    return std::string("\033[") + code + "m" + std::string(text) + "\033[0m";
}

}  // namespace unknot::cli
