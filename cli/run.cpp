// SPDX-License-Identifier: Apache-2.0
// `unknot run`: put the shim first in LD_PRELOAD and exec. Refuses, before anything is started, where the shim could
// not work: a preloaded library that is silently ignored is the worst outcome.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/commands.h"
#include "cli/judge/examine.h"
#include "cli/judge/preload.h"
#include "cli/read/program.h"
#include "cli/read/trouble.h"
#include "cli/say/schema.h"

namespace unknot::cli {
namespace {

void refuse(const Program& program, const std::string& why) {
    const std::string what =
        program.script.empty() ? program.path : fmt::format("{} ({})", program.script, program.path);
    throw Trouble(fmt::format("{}: {}; nothing was started", what, why));
}

void check(const Program& program, const ElfFile& library) {
    const ElfFile& file = *program.file;
    // The architecture first: of another machine's files nothing else can be said.
    if (file.machine() != library.machine() || file.is_64bit() != library.is_64bit())
        refuse(program, fmt::format("is for {}, the shim is for {}", machine_name(file.machine()),
                                    machine_name(library.machine())));
    if (file.interpreter().empty())
        refuse(program,
               "is a static program: there is no loader that would preload the shim (libunknot_walks.a can be "
               "linked into it)");
    if (file.interpreter().find("/ld-linux") == std::string::npos)
        refuse(program,
               fmt::format("uses another libc (its loader is {}): the shim knows glibc only", file.interpreter()));
    if (program.privileged)
        refuse(program, fmt::format("is privileged ({}): the loader ignores LD_PRELOAD there", program.privilege));
}

// No preloaded library can replace a malloc that is the program's own. Its walks can be had all the same.
void check_own_malloc(const Program& program, const RunOptions& options) {
    if (!program.file->defined("malloc")) return;
    constexpr const char* own = "defines malloc itself, which no preloaded library can replace";
    if (!options.allocator.empty()) refuse(program, fmt::format("{}: --allocator has no effect there", own));
    if (options.mode == "observe") refuse(program, fmt::format("{}: there is nothing to observe", own));
    if (options.mode == "off") return;
    fmt::print(stderr, "unknot: {}: {}: it is protected by its walks alone\n", program.path, own);
}

}  // namespace

int run(const RunOptions& options) {
    const Program program = find_program(options.command.at(0));
    const std::string shim = find_shim_library(options.library);
    const auto library = ElfFile::open(shim);
    if (library == nullptr || !library->exports("unknot_stats"))
        throw Trouble(fmt::format("{}: is not libunknot.so; give its path with --library or UNKNOT_LIBRARY", shim));
    check(program, *library);
    check_own_malloc(program, options);

    const char* was = std::getenv("LD_PRELOAD");
    const PreloadList list = make_preload(was == nullptr ? "" : was, shim, options.allocator);
    check_preload(program, list);

    std::vector<std::pair<std::string, std::string>> environment = {{"LD_PRELOAD", list.text()}};
    if (!options.mode.empty()) environment.emplace_back("UNKNOT_MODE", options.mode);
    if (options.stats) environment.emplace_back("UNKNOT_REPORT", "exit");

    if (options.dry_run) {
        if (options.json) {
            nlohmann::ordered_json json;
            json["schema"] = schema_version;
            for (const auto& [name, value] : environment) json["environment"][name] = value;
            json["command"] = options.command;
            fmt::print("{}\n", nlohmann::ordered_json::array({json}).dump(
                                   2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
        } else {
            for (const auto& [name, value] : environment) fmt::print("{}={}\n", name, value);
        }
        return exit_fine;
    }
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> arguments;
    for (const std::string& each : options.command) arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    throw CannotStart(fmt::format("{}: cannot be started: {}", options.command[0], std::strerror(errno)),
                      errno == ENOENT ? exit_not_found : exit_not_executable);
}

}  // namespace unknot::cli
