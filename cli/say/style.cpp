// SPDX-License-Identifier: Apache-2.0
// Terminal attributes, SGR sequences only.
#include "cli/say/style.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cctype>
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

std::size_t columns(int fd) {
    winsize size{};
    if (isatty(fd) == 1 && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) return size.ws_col;
    const char* given = std::getenv("COLUMNS");
    return given == nullptr ? 0 : std::strtoul(given, nullptr, 10);
}

std::string harmless(std::string text) {
    for (char& c : text)
        if (c != '\n' && std::iscntrl(static_cast<unsigned char>(c)) != 0) c = '?';
    return text;
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
