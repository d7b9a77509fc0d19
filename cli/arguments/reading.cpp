// SPDX-License-Identifier: Apache-2.0
// doctor and stat: they read processes.
#include <algorithm>
#include <memory>

#include "cli/arguments/subcommands.h"
#include "cli/commands.h"
#include "cli/read/trouble.h"
#include "cli/say/words.h"

namespace unknot::cli {
namespace {

constexpr const char* exit_codes =
    "Exit codes: 0 not affected or protected, 1 at risk, 3 deadlocked, 2 unknown, wrong usage or no permission.";

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

}  // namespace

Subcommand add_doctor(CLI::App& app) {
    const auto kept = std::make_shared<DoctorOptions>();
    DoctorOptions& options = *kept;
    CLI::App* doctor =
        app.add_subcommand("doctor", "Tell whether a process is at risk, protected or deadlocked, and what to do");
    set_usage(doctor,
              "unknot doctor [OPTIONS] PID...\n       unknot doctor [OPTIONS] --all\n       "
              "unknot doctor [OPTIONS] --core FILE [--exe PROGRAM] [--sysroot DIR]\n       "
              "unknot doctor [OPTIONS] -- COMMAND [ARGUMENT...]");
    add_pids(doctor, options.pids, "Processes to examine");
    doctor->add_option("--core", options.core, "A core dump instead of a process (gcore's, the kernel's)")
        ->type_name("FILE");
    doctor->add_option("--exe", options.executable, "With --core: the program, where it is not at the path of the dump")
        ->type_name("PROGRAM");
    doctor->add_option("--sysroot", options.sysroot, "With --core: the folder below which its files lie")
        ->type_name("DIR");
    doctor->add_flag("--all", options.all, "Every process that may be read, as a table");
    doctor
        ->add_option_function<std::string>(
            "--only", [kept](const std::string& text) { kept->only = verdicts_in(text); },
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
    return {doctor, [kept](const std::vector<std::string>& command) {
                DoctorOptions& asked = *kept;
                asked.command = command;
                const int kinds = (asked.pids.empty() ? 0 : 1) + (asked.all ? 1 : 0) + (command.empty() ? 0 : 1) +
                                  (asked.core.empty() ? 0 : 1);
                if (kinds != 1)
                    throw Trouble("doctor needs process ids, --all, --core FILE, or -- COMMAND, and one of them only");
                if (asked.core.empty() && !(asked.executable.empty() && asked.sysroot.empty()))
                    throw Trouble("--exe and --sysroot say where the files of a core dump are: they need --core FILE");
                return unknot::cli::doctor(asked);
            }};
}

Subcommand add_stat(CLI::App& app) {
    struct Asked {
        StatOptions options;
        std::string format = "text";
        bool json = false;
    };
    const auto kept = std::make_shared<Asked>();
    StatOptions& options = kept->options;
    CLI::App* stat = app.add_subcommand("stat", "Show what the shim does in a process");
    set_usage(stat, "unknot stat [OPTIONS] PID...\n       unknot stat [OPTIONS] --all");
    add_pids(stat, options.pids, "Processes to read");
    stat->add_flag("--all", options.all, "Every process that has the shim");
    stat->add_option("--watch", options.watch, "Again every so many seconds, with rates")
        ->check(CLI::Range(0.05, 86400.0))
        ->type_name("SECONDS");
    stat->add_option("--count", options.rounds, "With --watch: stop after so many rounds")
        ->check(CLI::Range(1, 1 << 30))
        ->type_name("N");
    stat->add_option("--format", kept->format, "text, json or openmetrics")
        ->check(CLI::IsMember({"text", "json", "openmetrics"}))
        ->type_name("FORMAT");
    stat->add_flag("--json", kept->json, "The same as --format json");
    stat->footer(
        "Examples:\n"
        "  unknot stat 4711\n"
        "  unknot stat --watch 2 4711\n"
        "  unknot stat --all --format openmetrics > /var/lib/node_exporter/unknot.prom");
    return {stat, [kept](const std::vector<std::string>& command) {
                auto& [asked, format, json] = *kept;
                expect_no_command(command, "stat takes process ids or --all, no command");
                if (asked.pids.empty() != asked.all)
                    throw Trouble("stat needs process ids or --all, and one of them only");
                if (json || format == "json") asked.format = StatFormat::json;
                if (!json && format == "openmetrics") asked.format = StatFormat::openmetrics;
                return unknot::cli::stat(asked);
            }};
}

}  // namespace unknot::cli
