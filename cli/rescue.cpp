// SPDX-License-Identifier: Apache-2.0
// `unknot rescue`: the exit code is the answer, what was done is printed.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/mend/rescue.h"
#include "cli/read/trouble.h"
#include "cli/say/mending.h"

namespace unknot::cli {

int rescue(const RescueOptions& options) {
    const Rescue done = rescue_process(options.pid, options.dry_run);
    fmt::print("{}", account_of(done, options.dry_run));
    switch (done.end) {
        case RescueEnd::moves:
        case RescueEnd::ended:
            return exit_fine;
        case RescueEnd::nothing_to_do:
            return exit_at_risk;
        case RescueEnd::still_dead:
            return exit_deadlocked;
        case RescueEnd::refused:
            break;
    }
    return options.dry_run && done.refusal == Refusal::none ? exit_fine : exit_trouble;
}

}  // namespace unknot::cli
