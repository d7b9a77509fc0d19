// SPDX-License-Identifier: Apache-2.0
// What the caller's shell has set for the shim or the allocators must not reach the programs.
#include "tests/preload/preload.h"

#include <utility>

namespace unknot::preload {

namespace {

void set_preload(process::Command& command, const std::string& preload) {
    for (const char* variable : {"UNKNOT_MODE", "UNKNOT_REPORT", "UNKNOT_LOG", "UNKNOT_WALK", "UNKNOT_ARENA_MAX",
                                 "UNKNOT_ARENA_FULL", "TCMALLOC_STACKTRACE_METHOD", "MALLOC_CONF"}) {
        bool given = false;
        for (const auto& [name, value] : command.environment) given = given || name == variable;
        if (!given) command.environment.emplace_back(variable, "");
    }
    command.environment.emplace_back("LD_PRELOAD", preload);
}

}  // namespace

std::string built(const std::string& path) {
    return std::string(UNKNOT_BINARY_DIR "/") + path;
}

process::Result run_bare(process::Command command, const Allocator& allocator) {
    set_preload(command, allocator.soname);
    return process::run(command);
}

namespace {
ShimmedRun run_with(const char* library, process::Command command, const Allocator& allocator,
                    const std::string& mode) {
    const process::LogFolder log;
    command.environment.emplace_back("UNKNOT_MODE", mode);
    command.environment.emplace_back("UNKNOT_REPORT", "exit");
    command.environment.emplace_back("UNKNOT_LOG", log.setting());
    set_preload(command, built(library) + " " + allocator.soname);
    process::Result result = process::run(command);
    const pid_t pid = result.pid;
    const std::string text = log.text(pid);
    return {std::move(result), text, process::ReportLine::find(text, pid)};
}
}  // namespace

ShimmedRun run_with_shim(process::Command command, const Allocator& allocator, const std::string& mode) {
    return run_with("libunknot.so", std::move(command), allocator, mode);
}

ShimmedRun run_with_walks(process::Command command, const Allocator& allocator) {
    return run_with("libunknot_walks.so", std::move(command), allocator, "");
}

std::string ShimmedRun::story() const {
    constexpr std::size_t enough = 200;
    const std::size_t from = result.out.size() > enough ? result.out.size() - enough : 0;
    return describe(result) + "\nlast words: " + result.out.substr(from) + "\nerrors: " + result.err + "\nlog: " + log;
}

}  // namespace unknot::preload
