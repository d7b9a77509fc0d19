// SPDX-License-Identifier: Apache-2.0
// What stands around the process and is none of the shim's business: a sandbox that ends it for a system call too many,
// a preload that wraps dl_iterate_phdr, an auditor with namespaces of its own. It runs as it does without the shim.
#include <gtest/gtest.h>

#include "tests/preload/preload.h"
#include "tests/process/system.h"

namespace unknot::preload {

namespace {

constexpr Allocator glibc{"glibc", "", "glibc", "pass_through"};

class StrictFilter : public testing::TestWithParam<std::tuple<Allocator, const char*>> {};

TEST_P(StrictFilter, ends_no_process_that_it_does_not_end_bare) {
    const auto& [allocator, mode] = GetParam();
    const process::Command command{{built("walks/behind_strict_filter")}};
    if (std::string_view(mode).empty()) {
        const process::Result bare = run_bare(command, allocator);
        EXPECT_TRUE(bare.succeeded()) << describe(bare) << "\n" << bare.err;
    }
    const ShimmedRun run = run_with_shim(command, allocator, mode);
    EXPECT_TRUE(run.result.succeeded()) << run.story();
}

INSTANTIATE_TEST_SUITE_P(, StrictFilter,
                         testing::Combine(testing::Values(tcmalloc, glibc),
                                          testing::Values("", "protect", "observe", "off")),
                         [](const auto& test) {
                             const std::string mode = std::get<1>(test.param);
                             return std::string(std::get<0>(test.param).name) + "_" + (mode.empty() ? "auto" : mode);
                         });

class QuietWalks : public testing::TestWithParam<std::tuple<Allocator, const char*>> {};

TEST_P(QuietWalks, ask_the_kernel_for_nothing) {
    const auto& [allocator, mode] = GetParam();
    if (!is_installed(allocator)) GTEST_SKIP() << "this system has no " << allocator.soname;
    const process::Command command{{built("walks/quiet_walks")}};
    const process::Result bare = run_bare(command, allocator);
    EXPECT_TRUE(bare.succeeded()) << describe(bare) << "\n" << bare.err;
    const process::Result result = run_with_shim(command, allocator, mode).result;
    EXPECT_TRUE(result.succeeded()) << describe(result) << "\n" << result.err;
    EXPECT_EQ(result.out, bare.out);
}

INSTANTIATE_TEST_SUITE_P(
    , QuietWalks, testing::Combine(testing::ValuesIn(allocators), testing::Values("auto", "protect", "observe", "off")),
    [](const auto& test) { return std::string(std::get<0>(test.param).name) + "_" + std::get<1>(test.param); });

class WalkWrapper : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

// Behind the shim, in the place where the allocator else stands alone.
TEST_P(WalkWrapper, behind_the_shim_gets_the_walks_that_it_gets_bare) {
    const auto& [wrapper, mode] = GetParam();
    const std::string library = built(std::string("walks/libwalks_wrapper_") + wrapper + ".so");
    for (const char* soname : {"", "libtcmalloc_minimal.so.4"}) {
        const std::string behind = library + " " + soname;
        const Allocator wrapped{"wrapped", behind.c_str(), "", ""};
        const process::Command command{{built("walks/walks_through_wrapper")}};
        const process::Result bare = run_bare(command, wrapped);
        EXPECT_TRUE(bare.succeeded()) << describe(bare) << "\n" << bare.err;
        const ShimmedRun run = run_with_shim(command, wrapped, mode);
        EXPECT_TRUE(run.result.succeeded()) << run.story();
        EXPECT_EQ(run.result.out, bare.out) << run.story();
    }
}

INSTANTIATE_TEST_SUITE_P(, WalkWrapper,
                         testing::Combine(testing::Values("static", "allocates", "walks", "jumps", "locks"),
                                          testing::Values("", "protect", "observe", "off")),
                         [](const auto& test) {
                             const std::string mode = std::get<1>(test.param);
                             return std::string(std::get<0>(test.param)) + "_" + (mode.empty() ? "auto" : mode);
                         });

// The loader counts the objects of all namespaces, and the auditor's are others.
TEST(Auditor, leaves_the_snapshot_exact) {
    process::Command command{{built("walks/snapshot_follows")}};
    command.environment.emplace_back("LD_AUDIT", built("walks/libwalks_auditor.so"));
    const ShimmedRun run = run_with_shim(command, tcmalloc, "protect");
    EXPECT_TRUE(run.result.succeeded()) << run.story();
    ASSERT_TRUE(run.report) << run.story();
    EXPECT_GE(run.report->number("walks_from_snapshot"), 80u);
}

}  // namespace

}  // namespace unknot::preload
