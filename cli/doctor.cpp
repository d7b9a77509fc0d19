// SPDX-License-Identifier: Apache-2.0
// `unknot doctor`: examine, print, and write a report where one is asked for.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>

#include "cli/commands.h"
#include "cli/read/trouble.h"
#include "cli/say/doctor_output.h"
#include "cli/say/progress.h"
#include "cli/say/report_file.h"
#include "cli/say/words.h"

namespace unknot::cli {
namespace {

// 3 deadlocked > 1 at risk > 2 trouble > 0: for several processes the worst finding counts, and a process that could
// not be judged counts when nothing worse was found.
int worse(int a, int b) {
    const auto rank = [](int code) {
        return code == exit_deadlocked ? 3 : code == exit_at_risk ? 2 : code == exit_trouble ? 1 : 0;
    };
    return rank(a) >= rank(b) ? a : b;
}

void complain(const std::string& text) {
    fmt::print(stderr, "unknot: {}\n", text);
}

// Of every process at once: most of the time goes by waiting for one that may be stuck to move, so two workers share
// the list.
class Round {
  public:
    Round(std::vector<int> pids, bool quiet) : pids_(std::move(pids)), quiet_(quiet) {}

    std::vector<Examination> run() {
        found_.resize(pids_.size());
        Progress progress(pids_.size(), "processes");
        std::thread other([&] { work(progress); });
        work(progress);
        other.join();
        std::vector<Examination> all;
        for (auto& each : found_)
            if (each) all.push_back(std::move(*each));
        return all;
    }
    bool had_trouble() const { return trouble_; }

  private:
    void work(Progress& progress) {
        for (std::size_t i; (i = next_++) < pids_.size(); progress.one_more()) {
            try {
                found_[i] = examine_process(pids_[i]);
            } catch (const Trouble& trouble) {
                // Of all processes some come and go, and kernel threads have no program: neither is worth a line.
                if (quiet_) continue;
                trouble_ = true;
                const std::lock_guard own(talk_);
                complain(trouble.what());
            }
        }
    }

    std::vector<int> pids_;
    bool quiet_;
    std::vector<std::optional<Examination>> found_;
    std::atomic<std::size_t> next_ = 0;
    std::atomic<bool> trouble_ = false;
    std::mutex talk_;
};

std::vector<Examination> examine(const DoctorOptions& options, int& code) {
    if (!options.command.empty()) return {examine_command(options.command)};
    if (!options.core.empty()) return {examine_core({options.core, options.executable, options.sysroot})};
    std::vector<int> pids = options.pids;
    if (options.all) {
        pids = all_processes();
        std::erase(pids, getpid());
    }
    Round round(pids, options.all);
    auto found = round.run();
    if (round.had_trouble()) code = exit_trouble;
    return found;
}

void keep_only(std::vector<Examination>& found, const std::vector<std::string>& verdicts) {
    if (verdicts.empty()) return;
    std::erase_if(found, [&](const Examination& each) {
        return std::find(verdicts.begin(), verdicts.end(), name_of(each.judgement.verdict)) == verdicts.end();
    });
}

}  // namespace

int doctor(const DoctorOptions& options) {
    int code = exit_fine;
    std::vector<Examination> found = examine(options, code);
    if (options.all) {
        std::stable_sort(found.begin(), found.end(), [](const Examination& a, const Examination& b) {
            return severity(a.judgement.verdict) > severity(b.judgement.verdict);
        });
    }
    const Tally tally(found);
    for (const Examination& each : found) {
        // What may not be read is no error among many, as long as something could be; what has ended is none at all.
        const bool unreadable = !each.missing_permission.empty() && tally.readable != 0;
        if (options.all && (unreadable || each.facts.missing == Missing::life)) continue;
        code = worse(code, exit_code_of(each));
        if (!each.missing_permission.empty() && !options.all)
            complain(fmt::format("process {} ({}) may not be read: {}", each.pid, each.name, each.missing_permission));
    }
    const bool wants_unknown = std::find(options.only.begin(), options.only.end(), "unknown") != options.only.end();
    keep_only(found, options.only);
    if (options.all && !wants_unknown && !options.json)
        std::erase_if(found, [](const Examination& each) { return !each.missing_permission.empty(); });

    std::vector<std::string> reports(found.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (found[i].judgement.verdict != Verdict::deadlocked || options.report_file.empty()) continue;
        try {
            reports[i] = write_report(found[i], options.report_file);
        } catch (const Trouble& trouble) {
            complain(trouble.what());  // the verdict is worth more than its report
        }
    }
    if (options.json)
        print_json(found, reports);
    else if (options.all)
        print_table(found, reports, tally);
    else
        for (std::size_t i = 0; i < found.size(); ++i) print_text(found[i], reports[i]);
    return code;
}

}  // namespace unknot::cli
