// SPDX-License-Identifier: Apache-2.0
// watch: a whole host, until it is told to end.
#include <memory>

#include "cli/arguments/subcommands.h"
#include "cli/commands.h"

namespace unknot::cli {
namespace {

void add_outputs(CLI::App* watch, WatchOptions& options) {
    watch
        ->add_option("--listen", options.listen, "Where Prometheus finds /metrics (127.0.0.1:9464 if nothing is given)")
        ->type_name("ADDRESS:PORT");
    watch
        ->add_option("--textfile", options.textfile,
                     "Write the metrics there after every round, for node_exporter's textfile collector")
        ->type_name("FILE");
    watch->add_flag("--json", options.json, "Print what happens as JSON, one line each");
    watch->add_flag("--per-process", options.per_process, "A series for every process, with its id");
    watch
        ->add_option("--report", options.report_file,
                     "Write a report of every deadlock there, with all stacks; %p becomes the process id")
        ->type_name("FILE");
}

}  // namespace

Subcommand add_watch(CLI::App& app) {
    const auto kept = std::make_shared<WatchOptions>();
    WatchOptions& options = *kept;
    CLI::App* watch = app.add_subcommand("watch", "Watch all processes of this host, for Prometheus");
    set_usage(watch, "unknot watch [OPTIONS]");
    add_outputs(watch, options);
    watch->add_option("--interval", options.interval_s, "Seconds from one round to the next (default 15)")
        ->check(CLI::Range(0.1, 86400.0))
        ->type_name("SECONDS");
    watch->add_option("--count", options.rounds, "Stop after so many rounds")
        ->check(CLI::Range(1, 1 << 30))
        ->type_name("N");
    watch->add_option("--program", options.programs, "Watch, and rescue, processes of this name alone; more than once")
        ->type_name("NAME")
        ->expected(1)
        ->take_all()
        ->check([](const std::string& name) { return std::string(name.empty() ? "a name is not empty" : ""); });
    CLI::Option* rescue = watch->add_flag("--rescue", options.rescue,
                                          "Bring processes back that are dead of this, as unknot rescue does");
    watch
        ->add_option("--rescue-interval", options.rescue_interval_s,
                     "With --rescue: at least so many seconds from one rescue to the next (default 60)")
        ->check(CLI::Range(0.0, 86400.0))
        ->type_name("SECONDS")
        ->needs(rescue);
    watch->footer(
        "Judges them as doctor --all does, and reads again only what has changed. A deadlock is one line on stderr.\n"
        "Exit codes: 0 ended by SIGTERM, SIGINT or --count, 2 wrong usage, or a port or file that cannot be had.\n"
        "Examples:\n"
        "  sudo unknot watch\n"
        "  sudo unknot watch --textfile /var/lib/prometheus/node-exporter/unknot.prom\n"
        "  sudo unknot watch --rescue --program java --report '/var/log/unknot-%p.txt'\n"
        "  sudo unknot watch --json --count 1 | jq .verdict");
    return {watch, [kept](const std::vector<std::string>& command) {
                expect_no_command(command, "watch takes no command");
                return unknot::cli::watch(*kept);
            }};
}

}  // namespace unknot::cli
