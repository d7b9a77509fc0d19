// SPDX-License-Identifier: Apache-2.0
// `unknot watch`: rounds until SIGTERM or SIGINT, which end it with 0.
#include <fmt/format.h>
#include <fmt/ranges.h>  // join: format.h has it up to fmt 10 only
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>

#include "cli/commands.h"
#include "cli/read/permission.h"
#include "cli/read/trouble.h"
#include "cli/say/report_file.h"
#include "cli/watch/events.h"
#include "cli/watch/exposition.h"
#include "cli/watch/rescues.h"

namespace unknot::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// Blocked in every thread, and taken where nothing is half done.
class EndSignals {
  public:
    EndSignals() {
        sigemptyset(&set_);
        sigaddset(&set_, SIGTERM);
        sigaddset(&set_, SIGINT);
        sigprocmask(SIG_BLOCK, &set_, nullptr);
    }
    // Waits for one of them; false: none came in that time.
    bool come_within(Seconds time) const {
        const double whole = static_cast<double>(static_cast<std::time_t>(time.count()));
        timespec wait{static_cast<std::time_t>(whole), static_cast<long>((time.count() - whole) * 1e9)};
        return sigtimedwait(&set_, nullptr, &wait) > 0;
    }

  private:
    sigset_t set_{};
};

class Watch {
  public:
    explicit Watch(const WatchOptions& options)
        : options_(options),
          exposition_(options.listen, options.textfile),
          host_(options.programs),
          totals_(options.per_process),
          rescues_(Seconds(options.rescue_interval_s)),
          events_(options.json) {}

    int run() {
        events_.say(begins());
        for (int round = 1;; ++round) {
            const auto began = Clock::now();
            one_round();
            if (ends_ || round == options_.rounds) return exit_fine;
            // However long a round takes, the host has most of the time for itself.
            const Seconds took = Clock::now() - began, interval(options_.interval_s);
            if (signals_.come_within(std::max(interval - took, std::min(interval, took)))) return exit_fine;
        }
    }

  private:
    std::string begins() const {
        const std::string whose = fmt::format("{}", fmt::join(options_.programs, ", "));
        std::string text =
            fmt::format("watches {}this host, every {:g} s", whose.empty() ? "" : whose + " of ", options_.interval_s);
        if (!options_.listen.empty()) text += fmt::format("; metrics at http://{}/metrics", options_.listen);
        if (!options_.textfile.empty()) text += "; metrics in " + options_.textfile;
        if (options_.rescue) text += fmt::format("; rescues, one every {:g} s at most", options_.rescue_interval_s);
        return text;
    }

    void one_round() {
        const auto began = Clock::now();
        const auto stop = [&] { return ends_ = ends_ || signals_.come_within(Seconds(0)); };
        const Host::Round round = host_.round(stop);
        totals_.add(host_.processes());
        for (const Watched& process : round.ended) {
            events_.ended(process);
            rescues_.leave_out(process.found.pid);
        }
        for (const pid_t pid : round.judged) events_.judged(host_.processes().at(pid));
        for (const pid_t pid : round.died) died(host_.processes().at(pid));
        if (!ends_) rescue();
        tell_of_unreadable();
        malloc_trim(0);  // what was parsed is large, and not needed until something changes
        cost_.round_is_over(Seconds(Clock::now() - began).count());
        events_.round(host_, cost_);
        publish();
    }

    void died(const Watched& process) {
        totals_.count_deadlock(process.found);
        std::string report;
        try {
            if (!options_.report_file.empty()) report = write_report(process.found, options_.report_file);
        } catch (const Trouble& trouble) {
            events_.say(trouble.what());
        }
        events_.deadlocked(process, report, options_.rescue);
        if (options_.rescue) rescues_.add(process.found.pid);
    }

    void rescue() {
        const auto pid = rescues_.next();
        if (!pid) return;
        const auto process = host_.processes().find(*pid);
        if (process == host_.processes().end() || !process->second.dead) return;
        const Examination found = process->second.found;
        const RescueTried tried = try_rescue(*pid);
        if (!tried.was_over) totals_.count_rescue(found, tried.result);
        events_.rescued(found, tried);
        host_.judge_next_time(*pid);
    }

    // Once: it is the same for all of them, and for ever.
    void tell_of_unreadable() {
        if (told_of_unreadable_) return;
        const auto& all = host_.processes();
        const auto count = std::count_if(
            all.begin(), all.end(), [](const auto& entry) { return !entry.second.found.missing_permission.empty(); });
        if (count == 0) return;
        told_of_unreadable_ = true;
        events_.say(fmt::format("{} may not be read: {}",
                                count == 1 ? "one process" : fmt::format("{} processes", count), missing_permission()));
    }

    // A disk that is full now may not be full in the next round.
    void publish() {
        std::string trouble;
        try {
            exposition_.publish(host_, totals_, cost_, options_.rescue);
        } catch (const Trouble& why) {
            trouble = why.what();
        }
        if (trouble != last_trouble_) events_.say(trouble.empty() ? "the metrics are written again" : trouble);
        last_trouble_ = trouble;
    }

    const WatchOptions& options_;
    EndSignals signals_;  // before the server's threads are there
    Exposition exposition_;
    Host host_;
    Totals totals_;
    Rescues rescues_;
    Events events_;
    OwnCost cost_;
    bool ends_ = false, told_of_unreadable_ = false;
    std::string last_trouble_;
};

}  // namespace

int watch(const WatchOptions& options) {
    // One heap: the threads that look at what stands still, and the server's, would each keep the largest they had.
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    WatchOptions chosen = options;
    // Nothing else is asked for: the endpoint.
    if (chosen.listen.empty() && chosen.textfile.empty() && !chosen.json) chosen.listen = default_listen;
    return Watch(chosen).run();
}

}  // namespace unknot::cli
