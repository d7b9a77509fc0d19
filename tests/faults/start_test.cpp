// SPDX-License-Identifier: Apache-2.0
// A process starts and runs behind the shim as it does bare: with allocators that are used to nobody in between, with
// sanitizers, with plug-ins that look past every preload, and with a program that wants everything for itself.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>

#include "tests/faults/afflicted.h"

namespace unknot::faults {

namespace {

const char* const modes[] = {"off", "observe", "auto", "protect"};

process::Result run_in(const std::string& mode, Affliction affliction, const Allocator& allocator) {
    affliction.variables.emplace_back("UNKNOT_MODE", mode);
    return run_afflicted(affliction, allocator);
}

process::Result run_bare(Affliction affliction, const Allocator& allocator) {
    affliction.preloads = false;
    affliction.variables.emplace_back("LD_PRELOAD", affliction.behind + " " + allocator.soname);
    return run_afflicted(affliction, allocator);
}

// The same end and the same output as bare, in every mode.
void expect_as_bare(const Affliction& affliction, const Allocator& allocator) {
    const process::Result bare = run_bare(affliction, allocator);
    ASSERT_EQ(bare.outcome, process::Outcome::exited) << story(bare);
    for (const char* mode : modes) {
        const process::Result result = run_in(mode, affliction, allocator);
        EXPECT_EQ(describe(result), describe(bare)) << mode << ": " << story(result);
        EXPECT_EQ(result.out, bare.out) << mode << ": " << story(result);
    }
}

bool has_library(const char* name) {
    void* library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
    if (library != nullptr) dlclose(library);
    return library != nullptr;
}

class Start : public ::testing::TestWithParam<Allocator> {
  protected:
    void SetUp() override {
        if (process::is_missing(GetParam().soname)) GTEST_SKIP() << "this system has no " << GetParam().name;
    }
};

TEST_P(Start, leaves_a_program_all_thread_specific_keys) {
    expect_as_bare({.program = {"takes_all_keys"}}, GetParam());
}

TEST_P(Start, protects_what_constructors_allocate_that_run_before_the_program) {
    if (process::glibc_minor < 34) GTEST_SKIP() << "libpthread is the one that runs first there";
    const process::Result result = run_in("protect", {.program = {"linked_with_early"}}, GetParam());
    EXPECT_TRUE(result.succeeded()) << story(result);
    if (GetParam().soname != std::string(tcmalloc.soname)) return;
#if !defined(__aarch64__)
    EXPECT_TRUE(run_in("auto", {.program = {"linked_with_early"}}, GetParam()).succeeded());
    for (int tries = 0; run_bare({.program = {"linked_with_early"}}, GetParam()).outcome != process::Outcome::hung;
         ++tries) {
        ASSERT_LT(tries, 20) << "the reproducer no longer hangs";
    }
#endif
}

INSTANTIATE_TEST_SUITE_P(Allocators, Start, ::testing::ValuesIn(allocators),
                         [](const auto& one) { return std::string(one.param.name); });

// ld.so's own first allocations, libc's and the libraries' pass through the shim: none is added, none goes elsewhere.
TEST(StartBefore, main_the_shim_does_nothing_at_all_with_off) {
    const std::string counts = ::testing::TempDir() + "unknot-counts-" + std::to_string(getpid());
    const auto counted = [&](const std::string& shim, const char* program) {
        Affliction affliction{.variables = {{"COUNTS", counts}}, .program = {program}};
        affliction.behind = built("counts_calls.so");
        affliction.shim = shim;
        const process::Result result = run_in("off", affliction, {"none", ""});
        EXPECT_TRUE(result.succeeded()) << story(result);
        std::ifstream file(counts);
        std::string text{std::istreambuf_iterator<char>(file), {}};
        unlink(counts.c_str());
        return text;
    };
    for (const char* program : {"does_nothing", "few_blocks"}) {
        // Not the null interposer: it looks functions up, and allocates for that.
        const std::string bare = counted("nothing.so", program);
        EXPECT_NE(bare, "");
        EXPECT_EQ(counted("libunknot.so", program), bare) << program;
    }
}

// Where the table of real functions lies is known from the library's symbols, and whether that may be written from the
// map of a process that has started.
TEST(StartBefore, main_the_table_of_real_functions_becomes_read_only) {
    const process::Result symbols = process::run({{"nm", "-C", built("libunknot.so")}});
    std::smatch symbol;
    ASSERT_TRUE(std::regex_search(symbols.out, symbol, std::regex("([0-9a-f]+) . unknot::real_allocator\n")));
    for (const char* mode : modes) {
        const std::string maps = run_in(mode, {.program = {"/bin/cat", "/proc/self/maps"}}, glibc).out;
        std::istringstream lines_of_map(maps);
        unsigned long base = 0;
        std::string rights;
        for (std::string line; std::getline(lines_of_map, line);) {
            unsigned long start = 0;
            unsigned long end = 0;
            char flags[5] = {};
            ASSERT_EQ(std::sscanf(line.c_str(), "%lx-%lx %4s", &start, &end, flags), 3);
            if (base == 0 && line.ends_with("/libunknot.so")) base = start;
            const unsigned long table = base + std::stoul(symbol[1], nullptr, 16);
            if (base != 0 && start <= table && table < end) rights = flags;
        }
        EXPECT_EQ(rights, "r--p") << mode << "\n" << maps;
    }
}

// Its malloc calls memalign, through the PLT.
TEST(StartBefore, an_allocator_whose_malloc_calls_another_door_runs) {
    const Allocator efence{"efence", "libefence.so.0"};
    if (!has_library(efence.soname)) GTEST_SKIP() << "this system has no Electric Fence";
    for (const char* program : {"does_nothing", "few_blocks"}) expect_as_bare({.program = {program}}, efence);
}

// The shim's constructor is the first, so what it asks of free at start may go no further than to its own.
TEST(StartBefore, an_allocator_that_its_constructor_makes_is_not_asked_before) {
    const std::string late = built("made_late.so");
    for (const char* program : {"does_nothing", "few_blocks"})
        expect_as_bare({.program = {program}}, {"late", late.c_str()});
}

// Linked dynamically, so that the runtime's malloc comes behind the shim's.
TEST(StartBefore, a_sanitizers_runtime_leaves_the_process_to_it) {
    for (const char* sanitizer : {"leak", "address"}) {
        Affliction affliction{.variables = {{"ASAN_OPTIONS", "verify_asan_link_order=0"}}};
        affliction.program = {std::string("few_blocks_") + sanitizer};
        expect_as_bare(affliction, glibc);
        // Said to whoever asks for protection, and to nobody else.
        for (const char* mode : {"off", "auto"}) EXPECT_EQ(run_in(mode, affliction, glibc).err, "") << mode;
        const std::vector<std::string> said = lines(run_in("protect", affliction, glibc).err);
        ASSERT_EQ(said.size(), 1u);
        EXPECT_TRUE(said[0].starts_with("standing aside: lib")) << said[0];
    }
}

// Bare, such a plug-in runs where libc's blocks are what everybody uses.
TEST(StartBefore, a_plug_in_that_is_bound_to_libc_directly_may_free_what_libc_allocates_for_it) {
    Affliction affliction{.program = {"loads_deep", built("fault_deep_plugin.so")}};
    affliction.variables = {{"DUMP_HEAPTRACK_OUTPUT", "/dev/null"}};
    expect_as_bare(affliction, glibc);
    for (const char* preload :
         {"libc_malloc_debug.so.0", "libmemusage.so", "/usr/lib/heaptrack/libheaptrack_preload.so",
          "/usr/lib/x86_64-linux-gnu/heaptrack/libheaptrack_preload.so"}) {
        const Allocator passing_on{"", preload};
        if (has_library(preload) && run_bare(affliction, passing_on).succeeded())
            expect_as_bare(affliction, passing_on);
    }
}

// It hands on what it gets, to a shim that comes second: no call may go round in circles.
TEST(StartBefore, an_interposer_before_the_shim_works_and_is_named) {
    for (const Allocator& allocator : allocators) {
        if (process::is_missing(allocator.soname)) continue;
        for (const std::string& before : {built("libunknot_null.so"), std::string("libmemusage.so")}) {
            if (!has_library(before.c_str())) continue;
            for (const char* mode : modes) {
                const process::Result result = run_in(
                    mode,
                    {.variables = {{"MEMUSAGE_OUTPUT", "/dev/null"}}, .program = {"few_blocks"}, .before = before},
                    allocator);
                EXPECT_TRUE(result.succeeded()) << before << " " << allocator.name << " " << story(result);
                EXPECT_EQ(result.err.find("wrong order: lib") != std::string::npos, mode != std::string("off"))
                    << result.err;
            }
        }
    }
}

// glibc's checking malloc, its hooks and its trace, which live in a library of their own from 2.34 on.
class CheckingMalloc : public ::testing::TestWithParam<bool> {
  protected:
    static constexpr Allocator debug{"malloc_debug", "libc_malloc_debug.so.0"};
    void SetUp() override {
        if (!has_library(debug.soname)) GTEST_SKIP() << "this libc has all that inside";
    }
    static process::Result run_beside(const std::string& mode, Affliction affliction) {
        if (!GetParam()) return run_in(mode, affliction, debug);
        affliction.before = debug.soname;
        return run_in(mode, affliction, glibc);
    }
};

TEST_P(CheckingMalloc, notices_what_it_notices_bare) {
    const Affliction affliction{.variables = {{"MALLOC_CHECK_", "3"}}, .program = {"overflows"}};
    const process::Result bare = run_bare(affliction, debug);
    ASSERT_EQ(describe(bare), "killed by signal 6") << story(bare);
    for (const char* mode : modes) {
        EXPECT_EQ(describe(run_beside(mode, affliction)), describe(bare)) << mode;
    }
}

TEST_P(CheckingMalloc, calls_the_hooks_of_old_programs) {
    const process::Result bare = run_bare({.program = {"hooks"}}, debug);
    ASSERT_EQ(bare.out, "10 mallocs, 10 frees\n");
    for (const char* mode : modes) EXPECT_EQ(run_beside(mode, {.program = {"hooks"}}).out, bare.out) << mode;
}

// Addresses differ from run to run, callers and sizes do not.
TEST_P(CheckingMalloc, writes_the_same_trace) {
    const std::string trace = ::testing::TempDir() + "unknot-trace-" + std::to_string(getpid());
    const Affliction affliction{.variables = {{"MALLOC_TRACE", trace}}, .program = {"traces"}};
    const auto traced = [&](const process::Result& result) {
        EXPECT_TRUE(result.succeeded()) << story(result);
        std::ifstream file(trace);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        unlink(trace.c_str());
        return std::regex_replace(text, std::regex(" 0x[0-9a-f]{8,}"), " BLOCK");
    };
    const std::string bare = traced(run_bare(affliction, debug));
    ASSERT_NE(bare.find("0x3eb"), std::string::npos) << bare;
    for (const char* mode : modes) EXPECT_EQ(traced(run_beside(mode, affliction)), bare) << mode;
}

TEST_P(CheckingMalloc, before_the_shim_is_said_to_be_in_the_way) {
    const std::vector<std::string> said = lines(run_beside("protect", {.program = {"does_nothing"}}).err);
    const std::vector<std::string> wrong_order{
        "wrong order: libc_malloc_debug.so.0 comes before libunknot.so; put libunknot.so first in LD_PRELOAD; this "
        "process is protected by its walks alone (mode=walks)"};
    EXPECT_EQ(said, GetParam() ? wrong_order : std::vector<std::string>{});
}

INSTANTIATE_TEST_SUITE_P(Preloaded, CheckingMalloc, ::testing::Bool(),
                         [](const auto& one) { return std::string(one.param ? "before" : "behind"); });

}  // namespace

}  // namespace unknot::faults
