// SPDX-License-Identifier: Apache-2.0
// The command line: options to structs, one line of trouble to stderr, exit codes.
#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <system_error>
#include <utility>

#include "cli/check_reproducer.h"
#include "cli/commands.h"
#include "cli/read/trouble.h"
#include "cli/say/words.h"

namespace unknot::cli {
namespace {

constexpr const char* exit_codes =
    "Exit codes: 0 not affected or protected, 1 at risk, 3 deadlocked, 2 unknown, wrong usage or no permission.";

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
}

std::vector<std::string> verdicts_in(const std::string& text) {
    std::vector<std::string> found;
    for (std::size_t from = 0; from <= text.size();) {
        const std::size_t to = std::min(text.find(',', from), text.size());
        const std::string word = text.substr(from, to - from);
        from = to + 1;
        const auto same = [&](const Verdict verdict) {
            std::string name = name_of(verdict);
            std::replace(name.begin(), name.end(), ' ', '-');
            return name == word;
        };
        const auto* known = std::find_if(std::begin(every_verdict), std::end(every_verdict), same);
        if (known == std::end(every_verdict))
            throw CLI::ValidationError(
                "--only", "\"" + word + "\" is none of deadlocked, at-risk, unknown, protected, not-affected");
        found.push_back(name_of(*known));
    }
    return found;
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
    doctor
        ->add_option_function<std::string>(
            "--only", [&options](const std::string& text) { options.only = verdicts_in(text); },
            "Show these: deadlocked, at-risk, unknown, protected, not-affected; the exit code counts all")
        ->type_name("VERDICT,...");
    doctor->add_flag("--json", options.json, "Print JSON");
    doctor
        ->add_option("--report", options.report_file,
                     "Write a report of every deadlocked process there, with all stacks; %p becomes the process id")
        ->type_name("FILE");
    doctor->footer(
        std::string("Reads /proc and ELF files; stops nothing. A command after -- is looked at, not started.\n") +
        exit_codes +
        "\nExamples:\n"
        "  unknot doctor 4711\n"
        "  sudo unknot doctor --all\n"
        "  sudo unknot doctor --all --only deadlocked,at-risk --report 'report-%p.txt'\n"
        "  unknot doctor --json 4711 | jq '.[].verdict'\n"
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

void add_check(CLI::App& app, CheckOptions& options) {
    CLI::App* check = app.add_subcommand("check", "Run the deadlock here, without and with the shim");
    check->formatter(std::make_shared<WithUsage>("unknot check [OPTIONS]"));
    check->add_option("--library", options.library, "Path of libunknot.so, as for run")->type_name("PATH");
    check->add_flag("--json", options.json, "Print JSON");
    check->footer(
        "Over an allocator of its own, and over every one that is installed. Takes some seconds each.\n"
        "Exit codes: 0 the shim works on this system, 1 it does not, 2 nothing was checked.\n"
        "Examples:\n"
        "  unknot check\n"
        "  unknot check --json | jq .works");
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

// What follows "--" belongs to the command that is started, whatever it looks like.
struct Words {
    std::vector<std::string> own, command;
    bool separator = false;
    // The first that is no option.
    std::string name() const {
        const auto found =
            std::find_if(own.begin(), own.end(), [](const auto& word) { return !word.starts_with('-'); });
        return found == own.end() ? std::string() : *found;
    }
};

Words split(int argc, char** argv) {
    Words words;
    for (int i = 1; i < argc; ++i) {
        if (!words.separator && std::string_view(argv[i]) == "--")
            words.separator = true;
        else
            (words.separator ? words.command : words.own).emplace_back(argv[i]);
    }
    // "help", "help doctor" and "version" are what --help and --version are.
    if (words.name() == "help" && words.own.front() == "help") {
        words.own.erase(words.own.begin());
        words.own.emplace_back("--help");
    } else if (words.own == std::vector<std::string>{"version"}) {
        words.own = {"--version"};
    }
    return words;
}

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

// A stream that is closed would be the next file that is opened. Writing to one that was is an error, not silence.
void open_standard_streams() {
    for (const auto& [fd, path] : {std::pair(STDIN_FILENO, "/dev/null"), std::pair(STDOUT_FILENO, "/dev/full"),
                                   std::pair(STDERR_FILENO, "/dev/null")}) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        const int opened = open(path, O_RDWR);
        if (opened >= 0 && opened != fd) dup2(opened, fd), close(opened);
    }
}

int dispatch(const Words& words) {
    const auto& [own, command, separator] = words;
    CLI::App app("Unknot: no more deadlocks between the dynamic loader and the allocator");
    app.name("unknot");
    app.require_subcommand(1);
    app.set_version_flag("--version", std::string("unknot ") + UNKNOT_VERSION);
    app.footer("unknot COMMAND --help tells more, with examples.");

    RunOptions run_options;
    DoctorOptions doctor_options;
    StatOptions stat_options;
    CheckOptions check_options;
    ImmuniseOptions immunise_options;
    RescueOptions rescue_options;
    std::string format = "text";
    bool json = false;
    add_run(app, run_options);
    add_doctor(app, doctor_options);
    add_stat(app, stat_options, format, json);
    add_check(app, check_options);
    add_immunise(app, immunise_options);
    add_rescue(app, rescue_options);

    if (!words.name().empty()) expect_command(app, words.name());
    try {
        app.parse(std::vector<std::string>(own.rbegin(), own.rend()));
    } catch (const CLI::Success& success) {
        return app.exit(success);
    } catch (const CLI::ParseError& error) {
        if (words.name() == "run" && !separator &&
            error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError))
            throw Trouble("-- goes before the command: unknot run [OPTIONS] -- COMMAND [ARGUMENT...]");
        throw Trouble(fmt::format("{}; see unknot --help", error.what()));
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
    if (app.got_subcommand("check")) {
        if (!command.empty()) throw Trouble("check takes no command");
        return check(check_options);
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
    namespace cli = unknot::cli;
    cli::open_standard_streams();
    const cli::Words words = cli::split(argc, argv);
    const bool runs = words.name() == "run";
    const auto give_up = [&](const std::string& why, int code) {
        std::fputs(fmt::format("unknot: {}\n", why).c_str(), stderr);
        return code;
    };
    const int trouble = runs ? cli::exit_run_trouble : cli::exit_trouble;
    try {
        if (argc == 4 && std::string_view(argv[1]) == cli::reproduce_word) return cli::reproduce(argv + 2);
        const int code = cli::dispatch(words);
        // What was not written was not said.
        if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
        return give_up(fmt::format("stdout: {}", std::strerror(errno)), trouble);
    } catch (const cli::CannotStart& error) {
        return give_up(error.what(), runs ? error.code() : trouble);
    } catch (const std::system_error& error) {  // of fmt::print
        return give_up(fmt::format("stdout: {}", std::strerror(error.code().value())), trouble);
    } catch (const std::exception& error) {
        return give_up(error.what(), trouble);
    }
}
