// SPDX-License-Identifier: Apache-2.0
// Puts the facts together. What cannot be read becomes a note, not a guess.
#include "cli/judge/examine.h"

#include <elf.h>
#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>

#include "cli/judge/replaced_library.h"
#include "cli/judge/way.h"
#include "cli/read/permission.h"
#include "cli/read/program.h"
#include "cli/read/trouble.h"
#include "policy/settings.h"

namespace unknot::cli {
namespace {

// In a static program: by the words that shim/doors/static_walk.cpp leaves in it.
void find_linked_walks(const Objects& objects, Examination& found) {
    const Object* executable = objects.executable();
    if (executable == nullptr || executable->file == nullptr || !executable->file->interpreter().empty()) return;
    if (executable->file->string_starting_with("libunknot_walks.a ").empty()) return;
    found.shim_library = "libunknot_walks.a";
    found.shim = {.present = true,
                  .reached = false,
                  .mode = Mode::walks,
                  .probe = Probe::owner_words,
                  .walk_mode = WalkMode::nonblocking};
}

void find_shim(const Process* process, const Objects& objects, const Environment& environment, Examination& found) {
    const Object* shim = objects.first_exporting("unknot_stats");
    if (process != nullptr) {
        const std::string note = note_on_replaced_library(*process, objects);
        if (!note.empty()) found.notes.push_back(note);
        found.shim_outdated = !note.empty();
    }
    if (shim == nullptr) return find_linked_walks(objects, found);
    found.shim.present = true;
    found.shim_library = shim->path;
    if (process != nullptr) {
        try {
            found.page = read_page(*process, objects);
        } catch (const NotPermitted&) {
            found.missing_permission = process->denied();
        } catch (const ProcessGone&) {
            throw;
        } catch (const Trouble& trouble) {
            found.notes.push_back(trouble.what());
        }
    }
    const Object* first = objects.first_exporting("malloc");
    // libunknot_walks.so has no malloc, so that its place is no matter.
    found.shim.wrong_order =
        shim->exports("malloc") && first != nullptr && first != shim && first != objects.executable();
    found.shim.reached = first == shim;
    if (found.page) {
        const StatsPage& page = found.page->page;
        found.shim.mode = page.mode;
        found.shim.probe = page.probe;
        found.shim.walk_mode = page.walk_mode;
        const auto flagged = [&](StatsFlag flag) { return (page.flags & static_cast<std::uint32_t>(flag)) != 0; };
        if (flagged(StatsFlag::not_on_path)) found.shim.reached = false;
        if (flagged(StatsFlag::wrong_order)) found.shim.reached = false, found.shim.wrong_order = true;
        for (const std::string& note : found.page->notes) found.notes.push_back(note);
        if (page.forwarded != 0 || page.failed != 0)
            found.notes.push_back(
                fmt::format("the arena was full for {} calls: the guarantee was off for them (UNKNOT_ARENA_MAX)",
                            page.forwarded + page.failed));
        return;
    }
    // Without the page: what it was told to do, which is what it does where it could be calibrated.
    const auto asked = environment("UNKNOT_MODE");
    Mode mode = Mode::automatic;
    if (asked) parse(asked->c_str(), mode);
    found.shim.mode = mode;
    found.shim.walk_mode = WalkMode::nonblocking;
    if (const auto walk = environment("UNKNOT_WALK")) parse(walk->c_str(), found.shim.walk_mode);
    const bool protects = mode == Mode::automatic || mode == Mode::protect;
    if (!found.shim.reached && protects && objects.first_exporting("dl_iterate_phdr") == shim)
        found.shim.mode = Mode::walks;
    if (found.shim.mode == Mode::walks) found.shim.probe = Probe::owner_words;
    found.notes.push_back("the mode of the shim is what the environment asks for, not what the process reports");
}

Cycle kind_of(const Deadlock& deadlock) {
    if (!deadlock.seen) return Cycle::none;
    bool loader_alone = true, curable = false, waits = false;
    for (const CycleStep& step : deadlock.cycle) {
        if (step.source == OwnerSource::absent) return step.through_loader ? Cycle::owner_gone : Cycle::abandoned_lock;
        if (step.source == OwnerSource::interrupted) return Cycle::interrupted;
        if (step.source == OwnerSource::itself) return step.shim_cuts ? Cycle::other_locks : Cycle::own_lock;
        loader_alone = loader_alone && step.through_loader;
        curable = curable || step.shim_cuts;
        waits = waits || step.source == OwnerSource::joined || step.source == OwnerSource::nobody;
    }
    if (loader_alone) return Cycle::loader_locks;
    if (curable) return Cycle::other_locks;
    return waits ? Cycle::waits_under_lock : Cycle::application_locks;
}

// Is there an object that could not be read, and would be asked for malloc before the one that was found?
bool hides_malloc(const Objects& objects, const AllocatorFacts& allocator) {
    for (const Object& object : objects.list) {
        if (object.file == nullptr) return true;
        if (object.start == allocator.object_start) return false;
    }
    return false;
}

Missing missing_from(const Examination& found, const Objects& objects) {
    if (!found.missing_permission.empty()) return Missing::permission;
    if (hides_malloc(objects, found.allocator)) return Missing::file;
    if (found.allocator.object.empty()) return Missing::malloc;
    if (!found.deadlock.suspicion.empty()) return Missing::end;
    return found.deadlock.cannot_tell.empty() ? Missing::nothing : Missing::waits;
}

Examination named(const Process& process) {
    Examination found;
    found.pid = process.pid();
    found.name = process.name();
    found.place = process.place();
    found.executable = process.executable();
    found.command_line = process.command_line();
    return found;
}

// Nothing of it can be read.
Examination unknown(Examination found, Missing missing) {
    found.facts.missing = missing;
    found.judgement = judge(found.facts);
    return found;
}

void judge_it(const Process* process, const Objects& objects, Examination& found) {
    RiskFacts& facts = found.facts;
    facts.allocator = found.allocator.evidence;
    facts.knows_generic_fp = found.allocator.knows_generic_fp;
    facts.knows_libgcc = found.allocator.knows_libgcc;
    facts.malloc_in_executable = found.allocator.in_executable;
    facts.is_static = found.libc.is_static;
    facts.is_static_glibc = found.libc.is_static && found.libc.name == "glibc";
    facts.sanitizer = found.allocator.sanitizer;
    for (const Walker& walker : found.walkers) {
        facts.walker_allocates = facts.walker_allocates || walker.allocates();
        facts.async_profiler_allocates =
            facts.async_profiler_allocates || (walker.allocates() && walker.is_async_profiler);
    }
    facts.both_edges_witnessed = found.page && found.page->both_edges_seen();
    facts.cycle = kind_of(found.deadlock);
    facts.missing = missing_from(found, objects);
    if (process != nullptr) {
        found.cure = cure_of(*process, objects, found.allocator);
        found.mending = mending_facts_of(*process, objects, found.deadlock, found.allocator, found.cure, facts);
        facts.can_be_rescued = why_not_rescue(found.mending) == Refusal::none;
        facts.can_be_immunised = found.cure.kind != CureKind::none && !found.cure.applied();
    }
    if (found.shim.mode == Mode::automatic) found.shim.mode = resolve_mode(Mode::automatic, facts.allocator);
    facts.shim = found.shim;
    found.judgement = judge(facts);
    if (!found.missing_permission.empty()) return;  // what follows from that is not worth a note
    if (!objects.order_known && found.pid != 0 && !found.libc.is_static)
        found.notes.push_back(
            "the loader's list of objects could not be read: their order is guessed from the addresses");
    for (const Object& object : objects.list)
        if (object.file == nullptr)
            found.notes.push_back(fmt::format("{} could not be read: {}", object.path, object.unreadable));
}

void gather(const Process* process, const Objects& objects, Examination& found) {
    const Environment environment(process);
    const Object* executable = objects.executable();
    if (executable != nullptr && executable->file != nullptr) found.machine = machine_name(executable->file->machine());
    found.order_known = objects.order_known;
    found.libc = libc_of(objects);
    found.allocator = allocator_of(process, objects, environment, found.libc.glibc_minor);
    found.walkers = walkers_of(objects);
    find_shim(process, objects, environment, found);
}

}  // namespace

std::string machine_name(unsigned machine) {
    switch (machine) {
        case EM_X86_64:
            return "x86_64";
        case EM_AARCH64:
            return "aarch64";
        case EM_386:
            return "i386";
        case EM_ARM:
            return "arm";
        case EM_RISCV:
            return "riscv";
        case EM_PPC64:
            return "ppc64";
        case EM_S390:
            return "s390";
        default:
            return fmt::format("machine {}", machine);
    }
}

Examination examine_process(pid_t pid) {
    const Process process(pid);
    if (process.is_zombie()) return unknown(named(process), Missing::life);
    std::vector<Mapping> mappings;
    try {
        mappings = process.mappings();
    } catch (const NotPermitted&) {
        Examination found = named(process);
        found.missing_permission = missing_permission();
        return unknown(std::move(found), Missing::permission);
    }
    if (const auto program = ElfFile::open(process.program()); program != nullptr && !program->is_64bit()) {
        Examination found = named(process);
        found.machine = machine_name(program->machine());
        return unknown(std::move(found), Missing::word_size);
    }
    return examine_process(process, mappings, objects_of(process, mappings));
}

Examination examine_process(const Process& process, const std::vector<Mapping>& mappings, const Objects& objects) {
    Examination found = named(process);
    if (objects.list.empty()) {
        process.expect_still_the_same();
        // Its memory goes before it does.
        if (process.life().address_space_bytes != 0)
            throw ProcessGone(fmt::format("process {} ended while it was being read", found.pid));
        throw Trouble(fmt::format("process {} ({}) has no program in memory: a kernel thread, or it is ending",
                                  found.pid, found.name));
    }
    gather(&process, objects, found);
    found.deadlock = look_for_deadlock(process, mappings, objects, found.libc.is_static ? 0 : found.libc.glibc_minor,
                                       found.allocator.object);
    if (!process.denied().empty()) found.missing_permission = process.denied();
    if (!found.deadlock.cannot_tell.empty() && found.missing_permission.empty())
        found.notes.push_back("whether it is deadlocked cannot be told: " + found.deadlock.cannot_tell);
    judge_it(&process, objects, found);
    process.expect_still_the_same();
    return found;
}

Examination examine_core(const CoreOptions& options) {
    const CoreProcess process(options);
    const auto mappings = process.mappings();
    const Objects objects = objects_of(process, mappings);
    Examination found = examine_process(process, mappings, objects);
    // Nobody can be brought back from a file, nor kept from anything.
    found.facts.can_be_rescued = found.facts.can_be_immunised = false;
    found.judgement = judge(found.facts);
    found.deadlock.samples = 1;
    found.deadlock.interval_ms = 0;
    found.is_core = true;
    for (const std::string& note : process.notes()) found.notes.push_back(note);
    return found;
}

Examination examine_command(const std::vector<std::string>& command) {
    const Program program = find_program(command.at(0));
    Examination found;
    found.name = command[0];
    found.executable = program.path;
    found.command_line = command;
    const Objects objects = objects_for(program);
    gather(nullptr, objects, found);
    // The loader takes neither its malloc nor its walks there.
    if (program.privileged && found.shim.present) {
        found.shim.reached = false;
        if (found.shim.mode == Mode::walks) found.shim.mode = Mode::protect;  // as it is asked for
    }
    judge_it(nullptr, objects, found);
    return found;
}

}  // namespace unknot::cli
