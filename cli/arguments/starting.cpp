// SPDX-License-Identifier: Apache-2.0
// run and check: they start processes.
#include <memory>

#include "cli/arguments/subcommands.h"
#include "cli/commands.h"
#include "cli/read/trouble.h"

namespace unknot::cli {

Subcommand add_run(CLI::App& app) {
    const auto kept = std::make_shared<RunOptions>();
    RunOptions& options = *kept;
    CLI::App* run = app.add_subcommand("run", "Start a command with the shim preloaded");
    set_usage(run, "unknot run [OPTIONS] -- COMMAND [ARGUMENT...]");
    run->add_option("--allocator", options.allocator,
                    "Preload this allocator behind the shim: tcmalloc, tcmalloc_minimal, mimalloc, jemalloc, or a path")
        ->type_name("NAME|PATH");
    run->add_option("--mode", options.mode, "What the shim does (UNKNOT_MODE)")
        ->check(CLI::IsMember({"auto", "protect", "walks", "observe", "off"}))
        ->type_name("MODE");
    run->add_flag("--stats", options.stats, "Write the statistics to the shim's log at exit (UNKNOT_REPORT=exit)");
    run->add_option("--library", options.library,
                    "Path of libunknot.so (default: UNKNOT_LIBRARY, then beside this program)")
        ->type_name("PATH");
    run->add_flag("--dry-run", options.dry_run, "Print the environment and start nothing");
    run->add_flag("--json", options.json, "With --dry-run: as JSON");
    run->footer(
        "Exit codes: 125 nothing was started, 126 the command cannot be run, 127 it is not there; else the command's.\n"
        "Examples:\n"
        "  unknot run -- java -jar server.jar\n"
        "  unknot run --allocator tcmalloc --stats -- ./server --port 80\n"
        "  unknot run --mode observe --stats -- ./server    # can it deadlock?\n"
        "  unknot run --dry-run -- ./server");
    return {run, [kept](const std::vector<std::string>& command) {
                if (command.empty())
                    throw Trouble("run needs a command: unknot run [OPTIONS] -- COMMAND [ARGUMENT...]");
                if (kept->json && !kept->dry_run) throw Trouble("--json says how --dry-run prints: it needs --dry-run");
                kept->command = command;
                return unknot::cli::run(*kept);
            }};
}

Subcommand add_check(CLI::App& app) {
    const auto kept = std::make_shared<CheckOptions>();
    CheckOptions& options = *kept;
    CLI::App* check = app.add_subcommand("check", "Run the deadlock here, without and with the shim");
    set_usage(check, "unknot check [OPTIONS]");
    check->add_option("--library", options.library, "Path of libunknot.so, as for run")->type_name("PATH");
    check->add_flag("--json", options.json, "Print JSON");
    check->footer(
        "Over an allocator of its own, and over every one that is installed. Takes some seconds each.\n"
        "Exit codes: 0 the shim works on this system, 1 it does not, 2 nothing was checked.\n"
        "Examples:\n"
        "  unknot check\n"
        "  unknot check --json | jq .works");
    return {check, [kept](const std::vector<std::string>& command) {
                expect_no_command(command, "check takes no command");
                return unknot::cli::check(*kept);
            }};
}

}  // namespace unknot::cli
