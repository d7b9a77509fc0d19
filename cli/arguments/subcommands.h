// SPDX-License-Identifier: Apache-2.0
// The commands as the command line knows them: the options of each, and what is started with them.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <vector>

namespace unknot::cli {

struct Subcommand {
    CLI::App* parser = nullptr;
    // With the words after "--"; once the parser got its own. Returns the exit code, throws Trouble.
    std::function<int(const std::vector<std::string>& command)> start;
};

Subcommand add_run(CLI::App& app);
Subcommand add_check(CLI::App& app);
Subcommand add_doctor(CLI::App& app);
Subcommand add_stat(CLI::App& app);
Subcommand add_immunise(CLI::App& app);
Subcommand add_rescue(CLI::App& app);
Subcommand add_watch(CLI::App& app);

// CLI11 writes its own usage line, which knows nothing of what follows "--".
void set_usage(CLI::App* parser, const std::string& usage);
CLI::Validator a_pid();
CLI::Option* add_pids(CLI::App* parser, std::vector<int>& pids, const std::string& description);
// Throws Trouble.
void expect_no_command(const std::vector<std::string>& command, const std::string& what_it_takes);

}  // namespace unknot::cli
