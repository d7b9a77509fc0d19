// SPDX-License-Identifier: Apache-2.0
// `unknot doctor`: examine, print, and write a report for a deadlocked process.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/commands.h"
#include "cli/read/trouble.h"
#include "cli/say/doctor_output.h"
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

}  // namespace

int doctor(const DoctorOptions& options) {
    std::vector<Examination> found;
    int code = exit_fine;
    if (!options.command.empty()) {
        found.push_back(examine_command(options.command));
    } else if (!options.core.empty()) {
        found.push_back(examine_core({options.core, options.executable, options.sysroot}));
    } else {
        std::vector<int> pids = options.pids;
        if (options.all) {
            pids = all_processes();
            std::erase(pids, getpid());
        }
        int not_permitted = 0;
        for (const int pid : pids) {
            try {
                found.push_back(examine_process(pid));
            } catch (const NotPermitted& trouble) {
                ++not_permitted;
                if (!options.all) complain(trouble.what());
                code = worse(code, exit_trouble);
            } catch (const Trouble& trouble) {
                // With --all processes come and go, and kernel threads have no program: neither is worth a line.
                if (options.all) continue;
                complain(trouble.what());
                code = worse(code, exit_trouble);
            }
        }
        if (options.all && not_permitted > 0)
            complain(fmt::format("{} processes could not be read: {}", not_permitted, missing_permission()));
    }

    for (Examination& each : found) {
        code = worse(code, exit_code_of(each));
        if (!each.missing_permission.empty() && exit_code_of(each) == exit_trouble)
            complain(fmt::format("process {} ({}) could be judged only in part: {}", each.pid, each.name,
                                 each.missing_permission));
    }
    std::vector<std::string> reports(found.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (found[i].judgement.verdict != Verdict::deadlocked || options.no_report) continue;
        try {
            reports[i] = write_report(found[i], options.report_file);
        } catch (const Trouble& trouble) {
            complain(trouble.what());  // the verdict is worth more than its report
        }
    }
    if (options.json)
        print_json(found, reports, !options.all && found.size() == 1);
    else if (options.all)
        print_table(found, reports);
    else
        for (std::size_t i = 0; i < found.size(); ++i) print_text(found[i], reports[i]);
    return code;
}

}  // namespace unknot::cli
