// SPDX-License-Identifier: Apache-2.0
// "At risk" is said, and `auto` protects, exactly where a malloc really waits for a loader lock: each process is judged
// first, and then made to grow its heap while another of its threads holds those locks.
#include <signal.h>

#include <ostream>

#include "cli/judge/examine.h"
#include "cli/say/words.h"
#include "tests/cli/unknot_command.h"
#include "tests/process/system.h"

namespace unknot::test {
namespace {

struct Case {
    const char* name;
    const char* preload;
    Variables more = {};
};

void PrintTo(const Case& each, std::ostream* out) {
    *out << each.name;
}

const char* const profiling = "prof:true,lg_prof_sample:0";  // every allocation is sampled

const Case cases[] = {
    {"glibc", ""},
    {"tcmalloc", "libtcmalloc.so.4"},
    {"tcmalloc_by_libunwind", "libtcmalloc.so.4", {{"TCMALLOC_STACKTRACE_METHOD", "libunwind"}}},
    {"tcmalloc_by_libgcc", "libtcmalloc.so.4", {{"TCMALLOC_STACKTRACE_METHOD", "libgcc"}}},
    {"tcmalloc_by_what_is_no_libgcc", "libunwind.so.8 libtcmalloc.so.4", {{"TCMALLOC_STACKTRACE_METHOD", "libgcc"}}},
    {"tcmalloc_by_frame_pointers", "libtcmalloc.so.4", {{"TCMALLOC_STACKTRACE_METHOD", "generic_fp"}}},
    {"tcmalloc_debug", "libtcmalloc_debug.so.4"},
    {"tcmalloc_and_profiler", "libtcmalloc_and_profiler.so.4"},
    {"tcmalloc_minimal", "libtcmalloc_minimal.so.4"},
    {"tcmalloc_minimal_debug", "libtcmalloc_minimal_debug.so.4"},
    {"mimalloc", UNKNOT_MIMALLOC},
    {"jemalloc", "libjemalloc.so.2"},
    {"jemalloc_profiling", "libjemalloc.so.2", {{"MALLOC_CONF", profiling}}},
    {"jemalloc_profiling_by_libunwind", "libunwind.so.8 libjemalloc.so.2", {{"MALLOC_CONF", profiling}}},
    {"jemalloc_beside_libunwind", "libunwind.so.8 libjemalloc.so.2"},
};

struct Seen {
    cli::Examination judged;
    bool hung;
};

Seen judge_and_run(const Case& each, const std::string& preload) {
    Variables variables = each.more;
    variables.emplace_back("LD_PRELOAD", preload);
    variables.emplace_back("UNKNOT_MODE", "");
    process::Child child({{built("cli_grows_beside_held_locks"), built("libcli_holds_loader_locks.so")}, variables});
    while (child.out().empty())
        if (const auto ended = child.look(std::chrono::milliseconds(20))) throw std::runtime_error(ended->err);
    Seen seen{cli::examine_process(child.pid()), false};
    kill(child.pid(), SIGUSR1);
    std::optional<process::Result> result;
    while (!(result = child.look(std::chrono::milliseconds(100)))) {
    }
    seen.hung = result->outcome == process::Outcome::hung;
    EXPECT_TRUE(seen.hung || result->succeeded()) << process::describe(*result) << result->err;
    return seen;
}

class Edge : public testing::TestWithParam<Case> {};

TEST_P(Edge, is_told_where_it_is_and_nowhere_else) {
    const Case& each = GetParam();
    if (process::is_missing(each.preload)) GTEST_SKIP() << "this system has no such library";
    const Seen bare = judge_and_run(each, each.preload);
    EXPECT_EQ(cli::name_of(bare.judged.judgement.verdict), bare.hung ? "at risk" : "not affected");
    const Seen shimmed = judge_and_run(each, built("libunknot.so") + " " + each.preload);
    EXPECT_FALSE(shimmed.hung);
    EXPECT_EQ(cli::name_of(shimmed.judged.judgement.verdict), bare.hung ? "protected" : "not affected");
    EXPECT_EQ(cli::name_of(shimmed.judged.shim.mode), bare.hung ? "protect" : "pass_through");
}

INSTANTIATE_TEST_SUITE_P(Of, Edge, testing::ValuesIn(cases),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace unknot::test
