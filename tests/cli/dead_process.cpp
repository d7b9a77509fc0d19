// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/dead_process.h"

#include "cli/read/trouble.h"

namespace unknot::test {

std::optional<cli::Examination> when_stuck(Victim& victim, pid_t pid) {
    std::optional<cli::Examination> found;
    const bool stuck = victim.until([&] {
        try {
            found = cli::examine_process(pid);
        } catch (const cli::Trouble&) {  // it is just being started, or has just ended
            return false;
        }
        return found->deadlock.seen;
    });
    return stuck ? found : std::nullopt;
}

pid_t child_of(Victim& victim) {
    std::string children;
    const std::string file = "/proc/" + victim.id() + "/task/" + victim.id() + "/children";
    victim.until([&] { return !(children = content(file)).empty(); });
    return children.empty() ? 0 : std::stoi(children);
}

}  // namespace unknot::test
