// SPDX-License-Identifier: Apache-2.0
#include "cli/watch/rescues.h"

#include <algorithm>

#include "cli/read/trouble.h"
#include "cli/say/mending.h"

namespace unknot::cli {
namespace {

// Without what the event of the deadlock has said already: the process, its verdict, the cycle.
std::string one_line(const std::string& account) {
    std::string line;
    for (std::size_t from = 0; from < account.size();) {
        const std::size_t to = std::min(account.find('\n', from), account.size());
        const std::string part = account.substr(from, to - from);
        from = to + 1;
        if (part.starts_with("process ") || part.starts_with("  - ")) continue;
        line += (line.empty() ? "" : "; ") + part.substr(std::min(part.find_first_not_of(' '), part.size()));
    }
    return line;
}

}  // namespace

void Rescues::leave_out(pid_t pid) {
    std::erase(waiting_, pid);
}

std::optional<pid_t> Rescues::next() {
    const auto now = std::chrono::steady_clock::now();
    if (waiting_.empty() || (last_ && now - *last_ < least_interval_)) return std::nullopt;
    const pid_t pid = waiting_.front();
    waiting_.pop_front();
    last_ = now;
    return pid;
}

RescueTried try_rescue(pid_t pid) {
    RescueTried tried;
    try {
        const Rescue done = rescue_process(pid, false);
        tried.account = one_line(account_of(done, false));
        switch (done.end) {
            case RescueEnd::moves:
            case RescueEnd::ended:
                tried.result = RescueResult::moves;
                break;
            case RescueEnd::still_dead:
                tried.result = RescueResult::dead;
                break;
            case RescueEnd::refused:
                break;
            case RescueEnd::nothing_to_do:
                tried.was_over = true;
                break;
        }
    } catch (const ProcessGone& gone) {
        tried.was_over = true;
        tried.account = gone.what();
    } catch (const Trouble& trouble) {
        tried.account = trouble.what();
    }
    return tried;
}

}  // namespace unknot::cli
