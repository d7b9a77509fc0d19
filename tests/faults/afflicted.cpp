// SPDX-License-Identifier: Apache-2.0
#include "tests/faults/afflicted.h"

#include <regex>
#include <sstream>

namespace unknot::faults {

std::string built(const std::string& name) {
    return UNKNOT_BINARY_DIR "/" + name;
}

process::Result run_afflicted(const Affliction& affliction, const Allocator& allocator) {
    process::Command command{{built("afflict")}};
    // What the caller's shell has set must not reach the program.
    for (const char* variable : {"UNKNOT_MODE", "UNKNOT_REPORT", "UNKNOT_LOG", "UNKNOT_WALK", "UNKNOT_ARENA_MAX",
                                 "UNKNOT_ARENA_FULL", "TCMALLOC_STACKTRACE_METHOD", "MALLOC_CONF", "LD_PRELOAD"}) {
        command.environment.emplace_back(variable, "");
    }
    std::vector<std::string>& argv = command.argv;
    argv.insert(argv.end(), affliction.faults.begin(), affliction.faults.end());
    argv.emplace_back("--");
    Variables variables{{"UNKNOT_MODE", "protect"}};
    if (affliction.preloads) {
        std::string preload = affliction.before + " " + built(affliction.shim);
        for (const std::string& next : {affliction.behind, std::string(allocator.soname)}) preload += " " + next;
        variables.emplace_back("LD_PRELOAD", preload);
    }
    variables.insert(variables.end(), affliction.variables.begin(), affliction.variables.end());
    for (const auto& [name, value] : variables) argv.push_back(name + "=" + value);
    const bool elsewhere = affliction.program.front().starts_with('/');
    argv.push_back(elsewhere ? affliction.program.front() : built("fault_" + affliction.program.front()));
    argv.insert(argv.end(), affliction.program.begin() + 1, affliction.program.end());
    return process::run(command);
}

std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> all;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        static const std::regex opening(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z unknot\[\d+\]: )");
        std::smatch found;
        const bool is_ours = std::regex_search(line, found, opening, std::regex_constants::match_continuous);
        all.push_back(is_ours ? found.suffix().str() : line);
    }
    return all;
}

bool was_refused(const process::Result& result) {
    return result.outcome == process::Outcome::exited && result.code == 77;
}

std::string story(const process::Result& result) {
    return describe(result) + "\noutput: " + result.out + "\nerrors: " + result.err;
}

}  // namespace unknot::faults
