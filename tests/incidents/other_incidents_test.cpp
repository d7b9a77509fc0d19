// SPDX-License-Identifier: Apache-2.0
// Incidents of one thread alone, of signals, thread-local storage and forks, and of tools that wrap dlopen.
#include <signal.h>

#include <sstream>

#include "tests/incidents/incidents.h"

namespace unknot::preload {

namespace {

// 3: same-thread re-entry

// KjellKod/g3log/issues/324: a crash inside the allocator, and a reporter.
// One thread: malloc -> arena lock -> abort -> handler -> backtrace -> dlopen(libgcc_s) -> malloc -> arena lock.
// libc's allocator does not unwind, so the shim has to be told to protect. (No report: the reporter ends the process,
// and says itself whether the shim has diverted.)
TEST(Incident, g3log_324) {
    const Allocator glibc = preloading("");
    expect_bare_hang(program("incidents/crash_in_malloc"), glibc);
    for (int run = 0; run < shimmed_runs; ++run) {
        const ShimmedRun shimmed = run_with_shim(program("incidents/crash_in_malloc"), glibc, "protect");
        EXPECT_TRUE(shimmed.result.succeeded()) << shimmed.story();
        EXPECT_EQ(shimmed.result.out, "crashed, and the stack is known\ndiverted\n");
    }
    expect_by_walks(program("incidents/crash_in_malloc"), glibc,
                    ByWalks::hangs);  // the lock is libc's, not the loader's
}

// jemalloc/jemalloc/issues/2505, /1438, apache/doris/issues/65428, ClickHouse/ClickHouse/pull/66346,
// llvm/llvm-project/issues/64512: something else than the shim stands before dl_iterate_phdr.
// One thread: malloc_init_hard, init_lock -> _Unwind_Backtrace -> dl_iterate_phdr of the tool -> dlsym -> malloc ->
// init_lock. (libgcc 12 does not walk, so _Unwind_Backtrace is libunwind's here; from glibc 2.34 on dlsym allocates
// only where it fails.) The shim stands in the same place and looks up without allocating.
TEST(Incident, jemalloc_2505) {
    process::Command command = reproducer("malloc");
    command.environment.emplace_back("MALLOC_CONF", "prof:true,lg_prof_sample:12");
    const std::string jemalloc = "libjemalloc.so.2 libunwind.so.8";
    const std::string tool = built("incidents/libincident_looks_up_in_walk.so ");
    expect_bare_hang(command, preloading((tool + jemalloc).c_str()));
    expect_runs(command, preloading(jemalloc.c_str()), {"diverted", "walks"}, "");
    expect_by_walks(command, preloading(jemalloc.c_str()), ByWalks::runs);
}

// fredericgermain/LeakTracer/issues/14, jemalloc/jemalloc/issues/443: something else than the shim stands before
// malloc. One thread: malloc -> pthread_once(look_up) -> dlsym -> malloc -> pthread_once. (Where dlsym fails: 2505 says
// why.) The shim in the same place answers what comes in meanwhile from its arena.
TEST(Incident, leaktracer_14) {
    const process::Command command = program("victims/c_loads_cpp");
    // Until glibc 2.33 dlsym calls calloc, every time, and it ends with a full stack.
    const process::Result bare =
        run_bare(command, preloading(built("incidents/libincident_looks_up_in_malloc.so").c_str()));
    EXPECT_TRUE(bare.outcome == process::Outcome::hung || bare.outcome == process::Outcome::killed) << describe(bare);
    expect_runs(command, preloading(""), {"diverted", "deferred"}, "protect");
    expect_by_walks(command, preloading(""), ByWalks::runs);
}

// 4: unwinding in signal handlers

// gperftools/gperftools/issues/775, /1583: Debian's libprofiler beside an allocator that does not unwind.
// T1: write lock -> callback's malloc -> pageheap_lock; T2: malloc -> pageheap_lock -> SIGPROF -> libunwind -> write
// lock. The allocator alone would not need the shim: the first such walk is served, and switches it to protect.
TEST(Incident, gperftools_775) {
    const process::LogFolder folder;
    process::Command command = program("incidents/profiled_by_signal");
    command.environment.emplace_back("CPUPROFILE", folder.setting());
    command.environment.emplace_back("CPUPROFILE_FREQUENCY", "4000");
    expect_cured(command, preloading("libtcmalloc_minimal.so.4 libprofiler.so.0"), {"walks_from_snapshot"});
}

// DataDog/dd-trace-dotnet/pull/5660: a sampled thread owns the malloc lock while its handler unwinds.
// T1: malloc -> arena lock -> signal -> libunwind -> write lock; T2: dlclose, write lock -> free -> arena lock.
// One arena, as every allocator with one lock has it.
TEST(Incident, dd_trace_dotnet_5660) {
    process::Command command = program("incidents/sampled_beside_dlclose");
    command.environment.emplace_back("MALLOC_ARENA_MAX", "1");
    expect_cured(command, preloading(""), {"walks_from_snapshot"});
}

// gperftools/gperftools/issues/1188, igprof/igprof/pull/79, /122, HPCToolkit/hpctoolkit/issues/109: a thread alone.
// Walk -> write lock, taken and not yet signed -> signal -> libunwind -> write lock, which does not know its owner.
// No allocator takes part.
TEST(Incident, gperftools_1188) {
    expect_cured(program("incidents/sampled_in_walk"), preloading(""), {"walks_from_snapshot"});
}

// JuliaLang/julia/issues/57017: a profiler suspends a thread and takes its stack trace from outside.
// T1: write lock -> suspended until P is done; P: libunwind -> write lock.
TEST(Incident, julia_57017) {
    expect_cured(program("incidents/suspends_walking_thread"), preloading(""), {"walks_from_snapshot"});
}

// 5: thread-local storage that allocates

// llvm/llvm-project/issues/53417, the half that glibc 2.35 left: first use of a dynamic thread-local in a callback.
// T1: write lock -> callback -> __tls_get_addr -> malloc -> pageheap_lock; T2: malloc -> pageheap_lock -> unwinder ->
// write lock. (In the thread T1 waits for the load lock instead: see README.md.)
TEST(Incident, llvm_53417) {
    expect_cured(program("incidents/thread_local_in_walk"), tcmalloc, {"diverted", "averted"});
}

// 6: fork

// The victim says "child PID" of each.
std::vector<pid_t> children_named_in(const std::string& out) {
    std::istringstream words(out);
    std::vector<pid_t> children;
    for (std::string word; words >> word;) {
        if (word != "child") children.push_back(std::stoi(word));
    }
    return children;
}

// glibc, posix/fork.c (2.36): the child gets the load lock back, not the write lock that a walking thread of its parent
// owned. Child: malloc -> GetStackTrace -> write lock, for ever.
TEST(Incident, glibc_fork_beside_walk) {
    expect_bare_hang(program("victims/fork_during_walk"), tcmalloc);
    for (const char* library : {"libunknot.so ", "libunknot.so ", "libunknot.so ", "libunknot_walks.so "}) {
        const process::LogFolder log;
        process::Command command = program("victims/fork_during_walk");
        command.environment.emplace_back("UNKNOT_REPORT", "exit");
        command.environment.emplace_back("UNKNOT_LOG", log.setting());
        const process::Result parent = run_bare(command, preloading((built(library) + tcmalloc.soname).c_str()));
        ASSERT_TRUE(parent.succeeded()) << describe(parent) << "\n" << parent.err;
        const std::vector<pid_t> children = children_named_in(parent.out);
        EXPECT_EQ(children.size(), 10u);
        for (const pid_t child : children) {
            const auto report = process::ReportLine::find(log.text(child), child);
            ASSERT_TRUE(report) << parent.out << log.text(child);
            EXPECT_EQ(report->number("locks_renewed"), 1u);
        }
    }
}

// 7: wrapped dlopen loses RPATH and RUNPATH

void expect_plugin_lost(const char* tool) {
    process::Command command = program("victims/runpath_plugin");
    command.environment.emplace_back("DUMP_HEAPTRACK_OUTPUT", "/dev/null");  // else heaptrack leaves a file
    const process::Result wrapped = run_bare(command, preloading(tool));
    EXPECT_FALSE(wrapped.succeeded());
    EXPECT_NE(wrapped.err.find("the plug-in finds its neighbour"), std::string::npos) << wrapped.err;
}

void expect_plugin_found() {
    const ShimmedRun shimmed = run_with_shim(program("victims/runpath_plugin"), tcmalloc, "protect");
    EXPECT_TRUE(shimmed.result.succeeded()) << shimmed.story();
    ASSERT_TRUE(shimmed.report);
    EXPECT_EQ(shimmed.report->word("mode"), "protect");
    expect_by_walks(program("victims/runpath_plugin"), tcmalloc, ByWalks::runs);
}

// bloomberg/memray/issues/212, openucx/ucx/issues/4001, VirtualGL/virtualgl/issues/266 and others:
// glibc searches the RUNPATH of whoever calls dlopen, and that is the tool. The shim wraps nothing.
TEST(Incident, memray_212) {
    expect_plugin_lost(built("incidents/libincident_wrapping_tool.so").c_str());
    expect_plugin_found();
}

// KDE/heaptrack/pull/48, with Debian's heaptrack 1.4.0 itself.
TEST(Incident, heaptrack_48) {
    expect_plugin_lost(UNKNOT_HEAPTRACK);
    expect_plugin_found();
}

// google/sanitizers/issues/1219, with AddressSanitizer of Debian's gcc itself.
TEST(Incident, sanitizers_1219) {
    expect_plugin_lost(UNKNOT_ASAN);
    expect_plugin_found();
}

// async-profiler/async-profiler/issues/1273: the hook's own dlopen comes back to the hook, without end.
TEST(Incident, async_profiler_1273) {
    const std::string tool = built("incidents/libincident_hooking_tool.so");
    const process::Result hooked = run_bare(program("victims/runpath_plugin"), preloading(tool.c_str()));
    EXPECT_EQ(hooked.outcome, process::Outcome::killed) << describe(hooked);
    EXPECT_EQ(hooked.code, SIGSEGV) << "its stack is full";
    expect_plugin_found();
}

// What the shim does not cure, so that nobody claims it.

// openucx/ucx/issues/3517, wolfpld/tracy/issues/780: a callback that calls dladdr.
// T1: write lock -> dladdr -> load lock; T2: dlopen, load lock -> write lock. The loader alone: no allocator takes
// part. `unknot doctor` says so (tests/cli/deadlock_test.cpp).
TEST(Incurable, ucx_3517) {
    const process::Command command = program("incidents/looks_up_address_in_walk");
    expect_bare_hang(command, preloading(""));
    int tries = 0;
    while (run_with_shim(command, preloading(""), "protect").result.outcome != process::Outcome::hung)
        ASSERT_LT(++tries, most_tries) << "cured after all: README.md is to say so";
}

}  // namespace

}  // namespace unknot::preload
