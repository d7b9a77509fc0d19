// SPDX-License-Identifier: Apache-2.0
// immunise and rescue: they change processes.
#include <memory>

#include "cli/arguments/subcommands.h"
#include "cli/commands.h"

namespace unknot::cli {

Subcommand add_immunise(CLI::App& app) {
    const auto kept = std::make_shared<ImmuniseOptions>();
    ImmuniseOptions& options = *kept;
    CLI::App* immunise = app.add_subcommand("immunise", "Keep a running process from this deadlock, without a restart");
    immunise->alias("immunize");
    set_usage(immunise, "unknot immunise [OPTIONS] PID...");
    add_pids(immunise, options.pids, "Processes to make immune")->required();
    immunise->add_flag("--undo", options.undo, "Put back what the process itself would have there");
    immunise->add_flag("--dry-run", options.dry_run, "Say which word would be written, and write nothing");
    immunise->footer(
        "Its allocator takes stack traces without the loader from then on. One word is written; nothing is stopped, "
        "no\n"
        "code is put into it.\n"
        "Exit codes: 0 immune now (with --undo: as before), 1 nothing to do, 2 refused or no permission.\n"
        "Examples:\n"
        "  unknot immunise --dry-run 4711\n"
        "  sudo unknot immunise 4711\n"
        "  sudo unknot immunise --undo 4711");
    return {immunise, [kept](const std::vector<std::string>& command) {
                expect_no_command(command, "immunise takes process ids, no command");
                return unknot::cli::immunise(*kept);
            }};
}

Subcommand add_rescue(CLI::App& app) {
    const auto kept = std::make_shared<RescueOptions>();
    RescueOptions& options = *kept;
    CLI::App* rescue = app.add_subcommand("rescue", "Bring a process back that is dead of this deadlock");
    set_usage(rescue, "unknot rescue [OPTIONS] PID");
    rescue->add_option("PID", options.pid, "The process")->check(a_pid())->type_name("")->required();
    rescue->add_flag("--dry-run", options.dry_run, "Say what would be done and why it may be done, and do nothing");
    rescue->footer(
        "Makes it immune, then sends the threads back that wait for the loader inside the allocator's stack trace.\n"
        "Exit codes: 0 it moves again, 3 still dead, 1 nothing to do, 2 refused or no permission.\n"
        "Examples:\n"
        "  unknot rescue --dry-run 4711\n"
        "  sudo unknot rescue 4711");
    return {rescue, [kept](const std::vector<std::string>& command) {
                expect_no_command(command, "rescue takes a process id, no command");
                return unknot::cli::rescue(*kept);
            }};
}

}  // namespace unknot::cli
