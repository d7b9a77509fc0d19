// SPDX-License-Identifier: Apache-2.0
// Everything the doctor finds out about one process (or one command that does not run yet), and the judgement.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/judge/allocator_facts.h"
#include "cli/judge/cure.h"
#include "cli/judge/libc_facts.h"
#include "cli/judge/threads.h"
#include "cli/judge/walkers.h"
#include "cli/read/core_process.h"
#include "cli/read/page_reader.h"
#include "policy/mending.h"
#include "policy/risk.h"

namespace unknot::cli {

struct Examination {
    pid_t pid = 0;         // 0: a command that does not run
    bool is_core = false;  // a dump: the process itself is gone
    std::string name;
    std::string place;  // container or unit
    std::string executable;
    std::vector<std::string> command_line;
    std::string machine;  // x86_64, aarch64, ...
    LibcFacts libc;
    AllocatorFacts allocator;
    std::vector<Walker> walkers;
    bool order_known = false;

    ShimFacts shim;
    std::string shim_library;
    bool shim_outdated = false;  // the file at that path is another build now, or gone
    std::optional<PageReading> page;
    Deadlock deadlock;
    Cure cure;
    MendingFacts mending;
    RiskFacts facts;
    Judgement judgement;
    std::vector<std::string> notes;  // what could not be read, and other remarks
    std::string missing_permission;  // set: the verdict rests on less than it should
};

// Throws Trouble.
Examination examine_process(pid_t pid);
Examination examine_process(const Process& process, const std::vector<Mapping>& mappings, const Objects& objects);
// The same from a core dump.
Examination examine_core(const CoreOptions& options);
Examination examine_command(const std::vector<std::string>& command);

std::string machine_name(unsigned machine);

}  // namespace unknot::cli
