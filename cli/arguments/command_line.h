// SPDX-License-Identifier: Apache-2.0
// The words of the command line before they are options: what belongs to which command, and which command is meant.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace unknot::cli {

// What follows "--" belongs to the command that is started, whatever it looks like.
struct Words {
    std::vector<std::string> own, command;
    bool separator = false;
    // The first that is no option.
    std::string name() const;
};

Words split(int argc, char** argv);

// Throws Trouble, with the nearest name, where the app has no such command.
void expect_command(const CLI::App& app, const std::string& name);

}  // namespace unknot::cli
