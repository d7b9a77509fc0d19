// SPDX-License-Identifier: Apache-2.0
// The doctor against processes whose state is known: what they are, across, and what was told of them, down. Whatever
// is beside the diagonal is a wrong verdict. Those that are dead are watched until they have been silent for long
// enough.
#include <array>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "cli/judge/examine.h"
#include "cli/read/trouble.h"
#include "cli/say/words.h"
#include "tests/cli/libunwind.h"
#include "tests/cli/unknot_command.h"
#include "tests/process/system.h"
#include "tests/process/vital_signs.h"

namespace unknot::test {
namespace {

enum State { dead_of_this, dead_of_something_else, at_risk, is_protected, not_affected, unknown };
constexpr std::array names = {"dead of this", "dead otherwise", "at risk", "protected", "not affected", "unknown"};

struct Patient {
    State state;
    std::string program;
    std::vector<std::string> arguments = {};
    Variables variables = {};
    bool is_child = false;  // of what is started
    bool naps = false;      // in a hang, a thread waits by napping: it is silent when it says nothing
};

State told_of(const cli::Examination& found) {
    switch (found.judgement.verdict) {
        case Verdict::deadlocked:
            return shim_is_no_cure(found.facts.cycle) ? dead_of_something_else : dead_of_this;
        case Verdict::at_risk:
            return at_risk;
        case Verdict::is_protected:
            return is_protected;
        case Verdict::not_affected:
            return not_affected;
        case Verdict::unknown:
            break;
    }
    return unknown;
}

// Of one that is dead or about to be: only once it has been silent for long, or what was expected has been told.
class Silence {
  public:
    explicit Silence(bool naps) : naps_(naps) {}
    bool lasts(pid_t pid, const std::string& out) {
        const auto signs = process::read_vital_signs(pid);
        const bool works = !naps_ && (signs.cpu_ms != cpu_ms_ || signs.awake);
        if (works || out.size() != said_) looks_ = 0;
        cpu_ms_ = signs.cpu_ms;
        said_ = out.size();
        return ++looks_ > (naps_ ? 100 : 5);
    }

  private:
    bool naps_;
    std::uint64_t cpu_ms_ = 0;
    std::size_t said_ = 0;
    int looks_ = 0;
};

std::optional<State> examine_until_silent(const Patient& patient) {
    Victim victim(patient.program, patient.variables, patient.arguments,
                  patient.state == dead_of_this || patient.program.starts_with('/') ? Ready::never : Ready::says_so);
    std::optional<State> told;
    Silence silence(patient.naps);
    const bool lives = victim.until([&] {
        try {
            pid_t pid = victim.pid();
            if (patient.is_child) {
                const std::string children = content("/proc/" + victim.id() + "/task/" + victim.id() + "/children");
                if (children.empty()) return false;
                pid = std::stoi(children);
            }
            told = told_of(cli::examine_process(pid));
        } catch (const cli::Trouble&) {  // it is just being started, or ends
            return false;
        }
        if (patient.state > dead_of_something_else && *told == patient.state) return true;
        return *told == patient.state || silence.lasts(victim.pid(), victim.out());
    });
    return lives ? told : std::nullopt;
}

class Corpus {
  public:
    void add(Patient patient) { patients_.push_back(std::move(patient)); }

    // Where a hang is luck, a patient that ends is started again.
    void examine() {
        constexpr int most_tries = 80;
        for (const Patient& patient : patients_) {
            std::optional<State> told;
            for (int tries = 0; !told && tries < most_tries; ++tries) told = examine_until_silent(patient);
            EXPECT_TRUE(told) << describe(patient) << " no longer hangs";
            if (!told) continue;
            ++table_[patient.state][*told];
            EXPECT_EQ(names[patient.state], std::string(names[*told])) << describe(patient);
        }
    }

    const Folder& folder() const { return folder_; }

    void print() const {
        std::printf("%-16s", "told:");
        for (const char* name : names) std::printf("%16s", name);
        for (std::size_t row = 0; row < names.size(); ++row) {
            std::printf("\n%-16s", names[row]);
            for (const int count : table_[row]) std::printf("%16d", count);
        }
        std::printf("\n");
    }

    bool has_every_state() const {
        for (std::size_t i = 0; i < names.size(); ++i)
            if (table_[i][i] == 0) return false;
        return true;
    }

  private:
    static std::string describe(const Patient& patient) {
        std::string text = patient.program;
        for (const std::string& each : patient.arguments) text += " " + each;
        for (const auto& [name, value] : patient.variables) text += " " + name + "=" + value;
        return text;
    }
    Folder folder_;
    std::vector<Patient> patients_;
    std::array<std::array<int, names.size()>, names.size()> table_{};
};

struct Allocator {
    const char* library;
    bool asks;  // for a loader lock, inside malloc: measured in edge_test.cpp
    Variables more = {};
};

const Allocator allocators[] = {
    {"", false},
    {"libtcmalloc.so.4", true},
    {"libtcmalloc.so.4", !process::tcmalloc_has_generic_fp, {{"TCMALLOC_STACKTRACE_METHOD", "generic_fp"}}},
    {"libtcmalloc_debug.so.4", true},
    {"libtcmalloc_minimal.so.4", false},
    {UNKNOT_MIMALLOC, false},
    {"libjemalloc.so.2", false},
    {"libjemalloc.so.2", !process::libgcc_takes_no_lock, {{"MALLOC_CONF", "prof:true"}}},
    {"libunwind.so.8 libjemalloc.so.2",
     libunwind_is_taken_for_libgcc() || !process::libgcc_takes_no_lock,
     {{"MALLOC_CONF", "prof:true"}}},
    {UNKNOT_HEAPTRACK, true, {{"DUMP_HEAPTRACK_OUTPUT", "/dev/null"}}},
};

Variables with(const std::string& preload, Variables more = {}) {
    more.emplace_back("LD_PRELOAD", preload);
    return more;
}

std::string shim_and(const std::string& library) {
    return built("libunknot.so") + " " + library;
}

// Malloc is another's, before the shim or part of the program, or left alone.
void add_walks_alone(Corpus& corpus) {
    const std::string tcmalloc = "libtcmalloc.so.4", walks = built("libunknot_walks.so");
    for (const std::string& preload :
         {tcmalloc + " " + built("libunknot.so"), tcmalloc + " " + walks, walks + " " + tcmalloc}) {
        corpus.add({is_protected, "cli_idle", {}, with(preload)});
        corpus.add({at_risk, "cli_idle", {}, with(preload, {{"UNKNOT_MODE", "off"}})});
        corpus.add({at_risk, "cli_idle", {}, with(preload, {{"UNKNOT_WALK", "native"}})});
        corpus.add({is_protected, "phdr_deadlock", {"malloc", "1000000"}, with(preload)});
    }
    for (const char* program : {"cli_own_malloc", "cli_linked_tcmalloc"}) {
        if (!std::filesystem::exists(built(program))) continue;
        corpus.add({at_risk, program});
        for (const std::string& preload : {built("libunknot.so"), walks}) {
            corpus.add({is_protected, program, {}, with(preload)});
            corpus.add({at_risk, program, {}, with(preload, {{"UNKNOT_MODE", "off"}})});
        }
    }
}

void add_idle(Corpus& corpus) {
    for (const Allocator& allocator : allocators) {
        const std::string_view library = allocator.library;
        if (process::is_missing(library) || library.ends_with("NOTFOUND")) continue;
        const State risk = allocator.asks ? at_risk : not_affected,
                    cured = allocator.asks ? is_protected : not_affected;
        corpus.add({risk, "cli_idle", {}, with(allocator.library, allocator.more)});
        for (const auto& [mode, state] : {std::pair("auto", cured), std::pair("protect", cured),
                                          std::pair("observe", risk), std::pair("off", risk)}) {
            Variables variables = with(shim_and(allocator.library), allocator.more);
            variables.emplace_back("UNKNOT_MODE", mode);
            corpus.add({state, "cli_idle", {}, variables});
        }
    }
    add_walks_alone(corpus);
    corpus.add({not_affected, "cli_idle_static"});
    corpus.add({not_affected, "cli_many_mappings"});
    corpus.add({not_affected, "cli_stuck_alone", {"idle_pool"}});
    corpus.add({not_affected, "cli_stuck_alone", {"long_held"}});
    corpus.add({not_affected, "cli_stuck_loading", {"works", built("libcli_holds_loader_locks.so")}});
}

// The published incidents that hang as a process of their own, as tests/incidents starts them. (Those that end instead,
// by a plug-in that is not found or a full stack, leave no process to be told about.)
void add_incidents(Corpus& corpus) {
    const std::string tcmalloc = "libtcmalloc.so.4", sampled = "prof:true,lg_prof_sample:12";
    for (const char* shape : {"malloc", "calloc", "realloc", "free", "new", "grow", "lock3"}) {
        if (process::traces_outside_page_heap_lock && shape != std::string_view("grow")) continue;
        corpus.add({dead_of_this, "phdr_deadlock", {shape, "1000000"}, with(tcmalloc)});
        corpus.add({is_protected, "phdr_deadlock", {shape, "1000000"}, with(shim_and(tcmalloc))});
    }
    const auto incident = [](const char* name) { return built(std::string("incidents/") + name); };
    for (const char* name : {"small_blocks_in_walk", "unwinds_in_walk"})
        corpus.add({dead_of_this, incident(name), {}, with(tcmalloc)});
    if (process::gperftools_minor < 18)  // seen with 2.16 by luck, with 2.18 in none of 80 tries
        corpus.add({dead_of_this, incident("thread_local_in_walk"), {}, with(tcmalloc)});
    for (const char* name : {"dlclose_frees", "failed_dlopen_frees"})
        corpus.add({dead_of_this, built(std::string("victims/") + name), {}, with(tcmalloc)});
    corpus.add({dead_of_this, "phdr_deadlock", {"new", "1000000"}, with("libtcmalloc_and_profiler.so.4")});
    for (const char* shape : {"malloc", "realloc"}) {
        if (!libunwind_is_taken_for_libgcc()) continue;  // libgcc takes no lock
        corpus.add({dead_of_this,
                    "phdr_deadlock",
                    {shape, "100000"},
                    with("libjemalloc.so.2 libunwind.so.8", {{"MALLOC_CONF", sampled}})});
    }
    corpus.add({dead_of_this, incident("crash_in_malloc")});
    corpus.add({dead_of_this, incident("sampled_beside_dlclose"), {}, {{"MALLOC_ARENA_MAX", "1"}}});
    corpus.add({dead_of_this, incident("sampled_in_walk")});
    corpus.add({dead_of_this, incident("suspends_walking_thread")});
    corpus.add({dead_of_this, built("victims/fork_during_walk"), {}, with(tcmalloc), true});
    // near_memory_tracker_102, gperftools_775, heaptrack_88e66a6.
    corpus.add({dead_of_this,
                "phdr_deadlock",
                {"malloc", "1000000"},
                with(incident("libincident_recording_allocator.so") + " libunwind.so.8")});
    corpus.add({dead_of_this,
                incident("profiled_by_signal"),
                {},
                with("libtcmalloc_minimal.so.4 libprofiler.so.0",
                     {{"CPUPROFILE", corpus.folder() / "profile"}, {"CPUPROFILE_FREQUENCY", "4000"}})});
    if (const std::string heaptrack = UNKNOT_HEAPTRACK; std::filesystem::exists(heaptrack))
        corpus.add({.state = dead_of_this,
                    .program = incident("allocates_while_tracked"),
                    .variables = with(heaptrack, {{"DUMP_HEAPTRACK_OUTPUT", "/dev/null"}}),
                    .naps = true});
    // jemalloc_2505 and leaktracer_14: a tool that looks functions up inside malloc, without the shim and behind it.
    const Variables profiled = {{"MALLOC_CONF", sampled}};
    const std::string in_walk = incident("libincident_looks_up_in_walk.so") + " libjemalloc.so.2 libunwind.so.8",
                      in_malloc = incident("libincident_looks_up_in_malloc.so");
    for (const std::string& before : {std::string(), built("libunknot.so ")}) {
        corpus.add(
            {dead_of_something_else, built("phdr_deadlock"), {"malloc", "100000"}, with(before + in_walk, profiled)});
        if (process::dlsym_allocates_only_where_it_fails)
            corpus.add({dead_of_something_else,
                        built("victims/c_loads_cpp"),
                        {},
                        with(before + in_malloc, {{"UNKNOT_MODE", "protect"}})});
    }
    corpus.add({dead_of_something_else, incident("looks_up_address_in_walk"), {}, with(tcmalloc)});
    corpus.add({dead_of_something_else, incident("looks_up_address_in_walk"), {}, with(shim_and(tcmalloc))});
}

void add_other_hangs(Corpus& corpus) {
    const std::string library = built("libcli_holds_loader_locks.so");
    for (const std::string& preload : {std::string(), std::string("libtcmalloc.so.4"), shim_and("libtcmalloc.so.4")}) {
        for (const char* shape : {"joins", "joins_at_exit", "waits_for_news", "takes_lock"})
            corpus.add({dead_of_something_else, "cli_stuck_loading", {shape, library}, with(preload)});
        corpus.add({dead_of_something_else, "cli_stuck_alone", {"two_orders"}, with(preload)});
        corpus.add({dead_of_something_else, "cli_stuck_alone", {"forked_with_lock"}, with(preload), true});
        corpus.add({dead_of_something_else, "cli_locks_twice", {}, with(preload)});
        for (const char* shape : {"waits_beside_ticker", "reads_pipe"})
            corpus.add({unknown, "cli_stuck_loading", {shape, library}, with(preload)});
    }
}

TEST(Truth, is_what_the_doctor_tells) {
    Corpus corpus;
    add_idle(corpus);
    add_incidents(corpus);
    add_other_hangs(corpus);
    corpus.examine();
    corpus.print();
    EXPECT_TRUE(corpus.has_every_state());
}

}  // namespace
}  // namespace unknot::test
