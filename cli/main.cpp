// SPDX-License-Identifier: Apache-2.0
// The command line: one line of trouble to stderr, exit codes.
#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string_view>
#include <system_error>

#include "cli/arguments/command_line.h"
#include "cli/arguments/subcommands.h"
#include "cli/check_reproducer.h"
#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

// A stream that is closed would be the next file that is opened. Writing to one that was is an error, not silence.
void open_standard_streams() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        const int opened = open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR);
        if (opened >= 0 && opened != fd) dup2(opened, fd), close(opened);
    }
}

int dispatch(const Words& words) {
    CLI::App app("Unknot: no more deadlocks between the dynamic loader and the allocator");
    app.name("unknot");
    app.set_version_flag("--version", std::string("unknot ") + UNKNOT_VERSION);
    set_usage(&app, "unknot COMMAND [OPTIONS] ...");
    app.footer("unknot COMMAND --help tells more, with examples.");
    const Subcommand commands[] = {add_run(app),      add_doctor(app), add_stat(app), add_check(app),
                                   add_immunise(app), add_rescue(app), add_watch(app)};
    if (words.own.empty()) throw Trouble("a command is needed; see unknot --help");
    if (words.name() == "version") throw Trouble("version takes nothing more");
    if (!words.name().empty()) expect_command(app, words.name());
    try {
        app.parse(std::vector<std::string>(words.own.rbegin(), words.own.rend()));
    } catch (const CLI::Success& success) {
        return app.exit(success);
    } catch (const CLI::ParseError& error) {
        if (words.name() == "run" && !words.separator &&
            error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError))
            throw Trouble("-- goes before the command: unknot run [OPTIONS] -- COMMAND [ARGUMENT...]");
        throw Trouble(fmt::format("{}; see unknot --help", error.what()));
    }
    if (words.separator && words.command.empty()) throw Trouble("there is no command after --");
    for (const Subcommand& each : commands)
        if (each.parser->parsed()) return each.start(words.command);
    throw Trouble("a command is needed; see unknot --help");
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
