// SPDX-License-Identifier: Apache-2.0
// `unknot immunise`: one line for each process, and the exit code of the worst.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cli/commands.h"
#include "cli/judge/examine.h"
#include "cli/mend/immunise.h"
#include "cli/read/trouble.h"
#include "cli/say/mending.h"
#include "cli/say/words.h"

namespace unknot::cli {
namespace {

constexpr int done = exit_fine, nothing_to_do = 1, refused = exit_trouble;

int undo_one(const Process& process, const Examination& found, bool dry) {
    const Cure& cure = found.cure;
    if (!cure.applied() || cure.original == cure.cured) {
        fmt::print("process {} ({}): nothing to undo: {}\n", found.pid, found.name, describe(cure));
        return nothing_to_do;
    }
    if (cure.original == 0) {
        fmt::print("process {} ({}): refused: neither its environment nor its files tell what {} was\n", found.pid,
                   found.name, cure.place);
        return refused;
    }
    if (!dry) undo(process, cure);
    fmt::print("process {} ({}): {} {} {:#x} again: {}\n", found.pid, found.name, cure.place, dry ? "would be" : "is",
               cure.original, cure.original_text);
    return done;
}

int cure_one(const Process& process, const Examination& found, bool dry) {
    const Cure& cure = found.cure;
    const auto say = [&](const std::string& text) { fmt::print("process {} ({}): {}\n", found.pid, found.name, text); };
    if (cure.applied()) return say("immune already: " + describe(cure)), nothing_to_do;
    const Verdict verdict = found.judgement.verdict;
    if (verdict == Verdict::not_affected || verdict == Verdict::is_protected)
        return say(fmt::format("{}, nothing to do", cli::name_of(verdict))), nothing_to_do;
    if (cure.kind == CureKind::none) return say("refused: " + cure.why_not), refused;
    if (found.mending.is_traced) return say("refused: " + sentence(Refusal::is_traced, found.mending)), refused;
    if (!dry) apply(process, cure);
    fmt::print(
        "process {} ({}): {}immune: {} {} {}, written as {:#x} to {:#x}, where {:#x} was\n  lost: {}; --undo puts it "
        "back\n",
        found.pid, found.name, dry ? "would be made " : "", cure.place, dry ? "would be" : "is", cure.cured_text,
        cure.cured, cure.address, cure.now, cure.lost);
    if (verdict == Verdict::deadlocked)
        fmt::print("  it is deadlocked already: unknot rescue {} brings it back\n", found.pid);
    return done;
}

}  // namespace

int immunise(const ImmuniseOptions& options) {
    int code = done;
    for (const int pid : options.pids) {
        try {
            const Process process(pid);
            const auto mappings = process.mappings();
            const Examination found = examine_process(process, mappings, objects_of(process, mappings));
            if (!found.missing_permission.empty()) throw NotPermitted(found.missing_permission);
            code = std::max(code, options.undo ? undo_one(process, found, options.dry_run)
                                               : cure_one(process, found, options.dry_run));
        } catch (const Trouble& trouble) {
            fmt::print(stderr, "unknot: process {}: {}\n", pid, trouble.what());
            code = refused;
        }
    }
    return code;
}

}  // namespace unknot::cli
