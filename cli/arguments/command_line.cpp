// SPDX-License-Identifier: Apache-2.0
#include "cli/arguments/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

// Letters to change, add or leave out.
std::size_t distance(const std::string& a, const std::string& b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t corner = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t changed = corner + (a[i - 1] == b[j - 1] ? 0 : 1);
            corner = std::exchange(row[j], std::min({changed, row[j] + 1, row[j - 1] + 1}));
        }
    }
    return row.back();
}

}  // namespace

std::string Words::name() const {
    const auto found = std::find_if(own.begin(), own.end(), [](const auto& word) { return !word.starts_with('-'); });
    return found == own.end() ? std::string() : *found;
}

Words split(int argc, char** argv) {
    Words words;
    for (int i = 1; i < argc; ++i) {
        if (!words.separator && std::string_view(argv[i]) == "--")
            words.separator = true;
        else
            (words.separator ? words.command : words.own).emplace_back(argv[i]);
    }
    // "help", "help doctor" and "version" are what --help and --version are.
    auto& own = words.own;
    const std::string first = own.empty() ? std::string() : own.front();
    if (first == "help") {
        own.erase(own.begin());
        if (own.size() == 1 && (own.front() == "help" || own.front() == "version")) own.clear();
        own.emplace_back("--help");
    } else if (own == std::vector<std::string>{"version"}) {
        own = {"--version"};
    }
    return words;
}

void expect_command(const CLI::App& app, const std::string& name) {
    std::string nearest, all;
    std::size_t least = 3;  // further off it is no slip of the fingers
    for (const CLI::App* each : app.get_subcommands([](const CLI::App*) { return true; })) {
        if (each->check_name(name)) return;
        all += (all.empty() ? "" : ", ") + each->get_name();
        const std::size_t far = distance(name, each->get_name());
        if (far < least) least = far, nearest = each->get_name();
    }
    throw Trouble(fmt::format("there is no command {}{}; the commands are {}", name,
                              nearest.empty() ? "" : " (did you mean " + nearest + "?)", all));
}

}  // namespace unknot::cli
