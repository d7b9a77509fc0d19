// SPDX-License-Identifier: Apache-2.0
// Every victim under every allocator with the shim diverting and deferring, also where it would pass through by itself:
// the program must see what the standard, or libc without the shim, promises.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string_view>
#include <tuple>
#include <vector>

#include "tests/preload/preload.h"
#include "tests/process/system.h"

namespace unknot::preload {

namespace {

struct Victim {
    const char* name;
    process::Command command;
    bool diverts = false;
    bool defers = false;
    // More than this means that a thread was taken for an owner when it was none.
    std::uint64_t most_diverted = std::numeric_limits<std::uint64_t>::max();
    // Asks for more than there is, also under a loader lock, where such a call goes to the real allocator for its
    // failure.
    bool asks_too_much = false;
    // Its claims hold on bare libc too. Not so where libc itself leaves a forked child with a lock held.
    bool runs_bare = true;
};

process::Command reproducer(const char* shape) {
    return {{built("phdr_deadlock"), shape, "2048"}};
}

process::Command program(const char* name) {
    return {{built(std::string("victims/") + name)}};
}

const Victim victims[] = {
    {"malloc", reproducer("malloc"), true, false},
    {"calloc", reproducer("calloc"), true, false},
    {"realloc", reproducer("realloc"), true, true},
    {"free", reproducer("free"), false, true},
    {"operator_new", reproducer("new"), true, false},
    {"lock3", reproducer("lock3")},
    {"blocks_cross_threads", program("blocks_cross_threads"), true, true},
    {"c_loads_cpp", program("c_loads_cpp"), true, true},
    {.name = "c_loads_cpp_failing",
     .command = {{built("victims/c_loads_cpp"), "failing"}},
     .diverts = true,
     .defers = true,
     .asks_too_much = true},
    // One hundred throws; libstdc++ and the loader add some of their own.
    {"callback_throws", program("callback_throws"), true, true, 2000},
    {"constructor_allocates", program("constructor_allocates"), true, false},
    {"constructor_walks", program("constructor_walks"), true, false},
    {"dlclose_frees", program("dlclose_frees"), true, true},
    // What it frees it has allocated under the lock itself.
    {"failed_dlopen_frees", program("failed_dlopen_frees"), true, false},
    {.name = "fork_beside_threads", .command = program("fork_beside_threads"), .defers = true, .runs_bare = false},
    {.name = "fork_during_walk", .command = program("fork_during_walk"), .runs_bare = false},
    {"runpath_plugin", program("runpath_plugin")},
    {"threads_exit_deferring", program("threads_exit_deferring"), false, true},
    {"walk_is_native", program("walk_is_native")},
};

void PrintTo(const Victim& victim, std::ostream* out) {
    *out << victim.name;
}

class VictimAlone : public testing::TestWithParam<Victim> {};

// What the victim claims is what programs are used to, not something that the shim adds.
TEST_P(VictimAlone, runs_on_bare_libc) {
    const process::Result bare = run_bare(GetParam().command, {.name = "glibc", .soname = "", .kind = "", .mode = ""});
    EXPECT_TRUE(bare.succeeded()) << describe(bare) << "\n" << bare.err;
}

std::vector<Victim> that_run_bare() {
    std::vector<Victim> chosen;
    for (const Victim& victim : victims) {
        if (victim.runs_bare) chosen.push_back(victim);
    }
    return chosen;
}

INSTANTIATE_TEST_SUITE_P(, VictimAlone, testing::ValuesIn(that_run_bare()),
                         [](const auto& test) { return std::string(test.param.name); });

using UnderAllocator = std::tuple<Victim, Allocator>;

std::string name_of(const UnderAllocator& which) {
    return std::string(std::get<Victim>(which).name) + "_on_" + std::get<Allocator>(which).name;
}

// Debian's mimalloc is built as C: its operator new ends the process where it should throw.
std::vector<UnderAllocator> every_combination() {
    std::vector<UnderAllocator> chosen;
    for (const Victim& victim : victims) {
        for (const Allocator& allocator : allocators) {
            const bool ends_the_process = victim.asks_too_much && std::string_view(allocator.name) == "mimalloc";
            if (!ends_the_process) chosen.emplace_back(victim, allocator);
        }
    }
    return chosen;
}

class VictimWithShim : public testing::TestWithParam<UnderAllocator> {};

TEST_P(VictimWithShim, runs_while_it_protects) {
    const auto& [victim, allocator] = GetParam();
    if (!is_installed(allocator)) GTEST_SKIP() << "this system has no " << allocator.name;
    if (!process::survives_fork(allocator.kind) && victim.name == std::string_view("fork_beside_threads")) {
        GTEST_SKIP() << "with this gperftools a fork leaves a lock taken that is not the loader's";
    }
    const ShimmedRun run = run_with_shim(victim.command, allocator, "protect");
    ASSERT_TRUE(run.result.succeeded()) << run.story();
    ASSERT_TRUE(run.report) << "no report; " << run.story();
    EXPECT_EQ(run.report->word("mode"), "protect");
    EXPECT_EQ(run.report->word("allocator"), allocator.kind);
    EXPECT_EQ(run.report->word("probe"), "owner_words");
    if (victim.diverts) {
        EXPECT_GT(run.report->number("diverted"), 0u);
    }
    if (victim.defers) {
        EXPECT_GT(run.report->number("deferred"), 0u);
    }
    EXPECT_LE(run.report->number("diverted"), victim.most_diverted);
    EXPECT_EQ(run.report->number("deferred"), run.report->number("drained"));
    if (!victim.asks_too_much) {
        EXPECT_EQ(run.report->number("forwarded"), 0u);
        EXPECT_EQ(run.report->number("failed"), 0u);
    }
}

INSTANTIATE_TEST_SUITE_P(, VictimWithShim, testing::ValuesIn(every_combination()),
                         [](const auto& test) { return name_of(test.param); });

class Mode : public testing::TestWithParam<Allocator> {
  protected:
    void SetUp() override {
        if (!is_installed(GetParam())) GTEST_SKIP() << "this system has no " << GetParam().name;
    }
};

TEST_P(Mode, by_itself_is_the_one_that_the_allocator_needs) {
    const ShimmedRun run = run_with_shim(reproducer("realloc"), GetParam(), "");
    ASSERT_TRUE(run.result.succeeded()) << run.story();
    ASSERT_TRUE(run.report) << "no report; " << run.story();
    EXPECT_EQ(run.report->word("mode"), GetParam().mode);
    EXPECT_EQ(run.report->word("allocator"), GetParam().kind);
    if (run.report->word("mode") == "pass_through") {
        EXPECT_EQ(run.report->number("diverted"), 0u);
        EXPECT_EQ(run.report->number("deferred"), 0u);
    }
}

TEST_P(Mode, off_touches_nothing) {
    const ShimmedRun run = run_with_shim(program("walk_is_native"), GetParam(), "off");
    ASSERT_TRUE(run.result.succeeded()) << run.story();
    ASSERT_TRUE(run.report) << "no report; " << run.story();
    EXPECT_EQ(run.report->word("mode"), "off");
    EXPECT_EQ(run.report->number("diverted"), 0u);
    EXPECT_EQ(run.report->number("deferred"), 0u);
}

TEST_P(Mode, observe_counts_what_protect_would_divert) {
    // Without growth in other threads, so that it runs without protection under every allocator.
    const ShimmedRun run = run_with_shim(program("c_loads_cpp"), GetParam(), "observe");
    ASSERT_TRUE(run.result.succeeded()) << run.story();
    ASSERT_TRUE(run.report) << "no report; " << run.story();
    EXPECT_EQ(run.report->word("mode"), "observe");
    EXPECT_GT(run.report->number("observed"), 0u);
    EXPECT_EQ(run.report->number("diverted"), 0u);
}

// gperftools goes by this variable itself. What it takes for x86 is no method that is known to be harmless.
TEST(StackMethod, that_is_asked_for_decides_what_tcmalloc_needs) {
    constexpr const char* without_loader = process::tcmalloc_has_generic_fp ? "pass_through" : "protect";
    constexpr std::pair<const char*, const char*> needs[] = {
        {"libunwind", "protect"}, {"generic_fp", without_loader}, {"x86", "protect"}};
    for (const auto& [method, mode] : needs) {
        process::Command command = program("walk_is_native");
        command.environment.emplace_back("TCMALLOC_STACKTRACE_METHOD", method);
        const ShimmedRun run = run_with_shim(command, tcmalloc, "");
        ASSERT_TRUE(run.report) << "no report; " << run.story();
        EXPECT_EQ(run.report->word("mode"), mode) << method;
    }
}

void expect_verdict(const process::Command& command, const Allocator& allocator, const std::string& verdict) {
    const ShimmedRun run = run_with_shim(command, allocator, "observe");
    ASSERT_TRUE(run.result.succeeded()) << run.story();
    EXPECT_NE(run.log.find("verdict: " + verdict), std::string::npos) << run.story();
}

TEST(Observe, says_at_the_end_which_edges_it_has_seen) {
    expect_verdict(program("both_edges"), tcmalloc, "both edges seen: this process can deadlock");
    const Allocator glibc{"glibc", "", "glibc", "pass_through"};
    expect_verdict(program("both_edges"), glibc, "one edge seen: allocations under a loader lock, but not the other");
    expect_verdict({{"/bin/true"}}, glibc, "no edge seen");
}

INSTANTIATE_TEST_SUITE_P(, Mode, testing::ValuesIn(allocators),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace

}  // namespace unknot::preload
