// SPDX-License-Identifier: Apache-2.0
#include "cli/read/proc_text.h"

#include <dirent.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace unknot::cli {

std::string slurp(const std::string& path, int* error) {
    std::string text;
    if (error != nullptr) *error = 0;
    std::FILE* file = std::fopen(path.c_str(), "re");
    if (file == nullptr) {
        if (error != nullptr) *error = errno;
        return text;
    }
    char part[16384];
    std::size_t n;
    while ((n = std::fread(part, 1, sizeof part, file)) > 0) text.append(part, n);
    if (std::ferror(file) != 0 && error != nullptr) *error = errno;
    std::fclose(file);
    return text;
}

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> parts;
    for (std::size_t from = 0; from < text.size();) {
        std::size_t to = text.find(at, from);
        if (to == std::string::npos) to = text.size();
        parts.push_back(text.substr(from, to - from));
        from = to + 1;
    }
    return parts;
}

std::vector<std::string> stat_fields(const std::string& text) {
    const std::size_t close = text.rfind(')');
    if (close == std::string::npos || close + 2 > text.size()) return {};
    return split(text.substr(close + 2), ' ');
}

std::string stat_name(const std::string& text) {
    const std::size_t open = text.find('('), close = text.rfind(')');
    if (open == std::string::npos || close == std::string::npos || close < open) return {};
    std::string name = text.substr(open + 1, close - open - 1);
    for (char& c : name)
        if (std::iscntrl(static_cast<unsigned char>(c)) != 0) c = '?';
    return name;
}

std::uint64_t number(const std::string& text, int base) {
    return std::strtoull(text.c_str(), nullptr, base);
}

std::uint64_t status_number(const std::string& status, std::string_view key, int base) {
    std::size_t at = status.find(fmt::format("\n{}:", key));
    if (at == std::string::npos) return 0;
    const std::size_t end = status.find('\n', at + 1);
    const std::string line = status.substr(at + 1, end - at - 1);
    const std::size_t last = line.find_last_of(" \t");
    return last == std::string::npos ? 0 : number(line.substr(last + 1), base);
}

std::vector<pid_t> numeric_entries(const std::string& folder) {
    std::vector<pid_t> found;
    DIR* dir = opendir(folder.c_str());
    if (dir == nullptr) return found;
    // Nobody else reads this stream, and readdir_r is deprecated.
    while (const dirent* entry = readdir(dir)) {  // cppcheck-suppress readdirCalled
        char* end = nullptr;
        const long value = std::strtol(entry->d_name, &end, 10);
        if (value > 0 && *end == '\0') found.push_back(static_cast<pid_t>(value));
    }
    closedir(dir);
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace unknot::cli
