// SPDX-License-Identifier: Apache-2.0
// The command line: options to structs, one line of trouble to stderr, exit codes.
#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <utility>

#include "cli/commands.h"
#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

constexpr const char* exit_codes =
    "Exit codes: 0 not affected or protected, 1 at risk, 3 deadlocked, 2 wrong usage or no permission.";

const CLI::Range a_pid(1, 1 << 22);  // PID_MAX_LIMIT

// CLI11 writes its own usage line, which knows nothing of what follows "--".
class WithUsage : public CLI::Formatter {
  public:
    explicit WithUsage(std::string usage) : usage_(std::move(usage)) {}
    std::string make_usage(const CLI::App*, std::string) const override { return "Usage: " + usage_ + "\n"; }

  private:
    std::string usage_;
};

void add_run(CLI::App& app, RunOptions& options) {
    CLI::App* run = app.add_subcommand("run", "Start a command with the shim preloaded");
    run->formatter(std::make_shared<WithUsage>("unknot run [OPTIONS] -- COMMAND [ARGUMENT...]"));
    run->add_option("--allocator", options.allocator,
                    "Preload this allocator behind the shim: tcmalloc, tcmalloc_minimal, mimalloc, jemalloc, or a path")
        ->type_name("NAME|PATH");
    run->add_option("--mode", options.mode, "What the shim does (UNKNOT_MODE)")
        ->check(CLI::IsMember({"auto", "protect", "observe", "off"}))
        ->type_name("MODE");
    run->add_flag("--report", options.report, "Write the statistics to the shim's log at exit (UNKNOT_REPORT=exit)");
    run->add_option("--library", options.library,
                    "Path of libunknot.so (default: UNKNOT_LIBRARY, then beside this program)")
        ->type_name("PATH");
    run->add_flag("--dry-run", options.dry_run, "Print the environment and start nothing");
    run->add_flag("--json", options.json, "With --dry-run: as JSON");
    run->footer(
        "Examples:\n"
        "  unknot run -- java -jar server.jar\n"
        "  unknot run --allocator tcmalloc --report -- ./server --port 80\n"
        "  unknot run --mode observe --report -- ./server    # can it deadlock?\n"
        "  unknot run --dry-run -- ./server");
}

void add_doctor(CLI::App& app, DoctorOptions& options) {
    CLI::App* doctor =
        app.add_subcommand("doctor", "Tell whether a process is at risk, protected or deadlocked, and what to do");
    doctor->formatter(
        std::make_shared<WithUsage>("unknot doctor [OPTIONS] PID...\n       unknot doctor [OPTIONS] --all\n       "
                                    "unknot doctor [OPTIONS] --core FILE [--exe PROGRAM] [--sysroot DIR]\n       "
                                    "unknot doctor [OPTIONS] -- COMMAND [ARGUMENT...]"));
    doctor->add_option("PID", options.pids, "Processes to examine")->check(a_pid);
    doctor->add_option("--core", options.core, "A core dump instead of a process (gcore's, the kernel's)")
        ->type_name("FILE");
    doctor->add_option("--exe", options.executable, "With --core: the program, where it is not at the path of the dump")
        ->type_name("PROGRAM");
    doctor->add_option("--sysroot", options.sysroot, "With --core: the folder below which its files lie")
        ->type_name("DIR");
    doctor->add_flag("--all", options.all, "Every process that may be read, as a table");
    doctor->add_flag("--json", options.json, "Print JSON");
    doctor
        ->add_option("--report", options.report_file,
                     "Where the report of a deadlocked process goes (default: unknot-report-PID.txt)")
        ->type_name("FILE");
    doctor->add_flag("--no-report", options.no_report, "Write no report file");
    doctor->footer(
        std::string("Reads /proc and ELF files; stops nothing. A command after -- is looked at, not started.\n") +
        exit_codes +
        "\nExamples:\n"
        "  unknot doctor 4711\n"
        "  sudo unknot doctor --all\n"
        "  unknot doctor --json 4711 | jq .verdict\n"
        "  LD_PRELOAD=libtcmalloc.so.4 unknot doctor -- ./server");
}

void add_stat(CLI::App& app, StatOptions& options, std::string& format, bool& json) {
    CLI::App* stat = app.add_subcommand("stat", "Show what the shim does in a process");
    stat->formatter(std::make_shared<WithUsage>("unknot stat [OPTIONS] PID...\n       unknot stat [OPTIONS] --all"));
    stat->add_option("PID", options.pids, "Processes to read")->check(a_pid);
    stat->add_flag("--all", options.all, "Every process that has the shim");
    stat->add_option("--watch", options.watch, "Again every so many seconds, with rates")
        ->check(CLI::Range(0.05, 86400.0))
        ->type_name("SECONDS");
    stat->add_option("--count", options.rounds, "With --watch: stop after so many rounds")
        ->check(CLI::Range(1, 1 << 30))
        ->type_name("N");
    stat->add_option("--format", format, "text, json or openmetrics")
        ->check(CLI::IsMember({"text", "json", "openmetrics"}))
        ->type_name("FORMAT");
    stat->add_flag("--json", json, "The same as --format json");
    stat->footer(
        "Examples:\n"
        "  unknot stat 4711\n"
        "  unknot stat --watch 2 4711\n"
        "  unknot stat --all --format openmetrics > /var/lib/node_exporter/unknot.prom");
}

void add_immunise(CLI::App& app, ImmuniseOptions& options) {
    CLI::App* immunise = app.add_subcommand("immunise", "Keep a running process from this deadlock, without a restart");
    immunise->alias("immunize");
    immunise->formatter(std::make_shared<WithUsage>("unknot immunise [OPTIONS] PID..."));
    immunise->add_option("PID", options.pids, "Processes to make immune")->check(a_pid)->required();
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
}

void add_rescue(CLI::App& app, RescueOptions& options) {
    CLI::App* rescue = app.add_subcommand("rescue", "Bring a process back that is dead of this deadlock");
    rescue->formatter(std::make_shared<WithUsage>("unknot rescue [OPTIONS] PID"));
    rescue->add_option("PID", options.pid, "The process")->check(a_pid)->required();
    rescue->add_flag("--dry-run", options.dry_run, "Say what would be done and why it may be done, and do nothing");
    rescue->footer(
        "Makes it immune, then sends the threads back that wait for the loader inside the allocator's stack trace.\n"
        "Exit codes: 0 it moves again, 3 still dead, 1 nothing to do, 2 refused or no permission.\n"
        "Examples:\n"
        "  unknot rescue --dry-run 4711\n"
        "  sudo unknot rescue 4711");
}

int dispatch(int argc, char** argv) {
    CLI::App app("Unknot: no more deadlocks between the dynamic loader and the allocator");
    app.name("unknot");
    app.require_subcommand(1);
    app.set_version_flag("--version", std::string("unknot ") + UNKNOT_VERSION);
    app.footer("unknot COMMAND --help tells more, with examples.");

    RunOptions run_options;
    DoctorOptions doctor_options;
    StatOptions stat_options;
    ImmuniseOptions immunise_options;
    RescueOptions rescue_options;
    std::string format = "text";
    bool json = false;
    add_run(app, run_options);
    add_doctor(app, doctor_options);
    add_stat(app, stat_options, format, json);
    add_immunise(app, immunise_options);
    add_rescue(app, rescue_options);

    // What follows "--" belongs to the command that is started, whatever it looks like.
    std::vector<std::string> own, command;
    bool separator = false;
    for (int i = 1; i < argc; ++i) {
        if (!separator && std::string_view(argv[i]) == "--")
            separator = true;
        else
            (separator ? command : own).emplace_back(argv[i]);
    }
    try {
        app.parse(std::vector<std::string>(own.rbegin(), own.rend()));
    } catch (const CLI::Success& success) {
        return app.exit(success);
    } catch (const CLI::ParseError& error) {
        fmt::print(stderr, "unknot: {}; see unknot --help\n", error.what());
        return exit_trouble;
    }
    if (separator && command.empty()) throw Trouble("there is no command after --");
    if (app.got_subcommand("run")) {
        if (command.empty()) throw Trouble("run needs a command: unknot run [OPTIONS] -- COMMAND [ARGUMENT...]");
        run_options.command = command;
        return run(run_options);
    }
    if (app.got_subcommand("doctor")) {
        doctor_options.command = command;
        const int kinds = (doctor_options.pids.empty() ? 0 : 1) + (doctor_options.all ? 1 : 0) +
                          (command.empty() ? 0 : 1) + (doctor_options.core.empty() ? 0 : 1);
        if (kinds != 1)
            throw Trouble("doctor needs process ids, --all, --core FILE, or -- COMMAND, and one of them only");
        if (doctor_options.core.empty() && !(doctor_options.executable.empty() && doctor_options.sysroot.empty()))
            throw Trouble("--exe and --sysroot say where the files of a core dump are: they need --core FILE");
        return doctor(doctor_options);
    }
    if (app.got_subcommand("immunise") || app.got_subcommand("rescue")) {
        if (!command.empty()) throw Trouble("immunise and rescue take process ids, no command");
        return app.got_subcommand("rescue") ? rescue(rescue_options) : immunise(immunise_options);
    }
    if (!command.empty()) throw Trouble("stat takes process ids or --all, no command");
    if (stat_options.pids.empty() != stat_options.all)
        throw Trouble("stat needs process ids or --all, and one of them only");
    if (json || format == "json") stat_options.format = StatFormat::json;
    if (!json && format == "openmetrics") stat_options.format = StatFormat::openmetrics;
    return stat(stat_options);
}

}  // namespace
}  // namespace unknot::cli

int main(int argc, char** argv) {
    try {
        return unknot::cli::dispatch(argc, argv);
    } catch (const std::exception& error) {
        fmt::print(stderr, "unknot: {}\n", error.what());
        return unknot::cli::exit_trouble;
    }
}
