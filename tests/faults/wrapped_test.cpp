// SPDX-License-Identifier: Apache-2.0
// A preload that wraps what the shim calls, and comes back into it: every wrapped function, before and behind the shim,
// under every allocator, in every mode, also where the wrapper is not to be called before its own constructor. Wherever
// the program runs without the shim, it runs with it, and its protection is there.
#include <gtest/gtest.h>

#include <tuple>

#include "tests/faults/afflicted.h"

namespace unknot::faults {

namespace {

const char* const wrapped[] = {"dlsym",      "lock",      "mmap",      "trylock",  "walk",
                               "dlsym_late", "lock_late", "mmap_late", "walk_late"};

using Combination = std::tuple<const char*, bool, Allocator>;

Affliction beside(const std::string& function, bool before) {
    const std::string preload = built("meddles_with_" + function + ".so");
    return before ? Affliction{.before = preload} : Affliction{.behind = preload};
}

std::string name_of(const ::testing::TestParamInfo<Combination>& info) {
    const auto& [function, before, allocator] = info.param;
    return std::string(function) + (before ? "_before_on_" : "_behind_on_") + allocator.name;
}

class Wrapped : public ::testing::TestWithParam<Combination> {
  protected:
    void SetUp() override {
        const auto& [function, before, allocator] = GetParam();
        if (process::is_missing(allocator.soname)) GTEST_SKIP() << "this system has no " << allocator.name;
        // The allocators' own deadlock is there without the shim: one thread alone.
        Affliction bare{.program = {"works", "small"}, .preloads = false};
        bare.variables = {{"LD_PRELOAD", built("meddles_with_" + std::string(function) + ".so ") + allocator.soname}};
        const process::Result result = run_afflicted(bare, allocator);
        if (result.code != 3) GTEST_SKIP() << "does not run without the shim either: " << story(result);
    }
};

TEST_P(Wrapped, function_of_somebody_that_comes_back_finds_a_shim_that_works) {
    const auto& [function, before, allocator] = GetParam();
    for (const char* mode : {"off", "observe", "auto", "protect"}) {
        Affliction affliction = beside(function, before);
        affliction.program = {"works", "small"};
        affliction.variables = {{"UNKNOT_MODE", mode}};
        const process::Result result = run_afflicted(affliction, allocator);
        EXPECT_EQ(result.outcome, process::Outcome::exited) << mode << ": " << story(result);
        const bool must_protect = std::string(mode) == "protect";
        EXPECT_TRUE(result.code == 0 || (result.code == 4 && !must_protect)) << mode << ": " << story(result);
        EXPECT_EQ(lines(result.err), std::vector<std::string>{}) << mode;
    }
}

INSTANTIATE_TEST_SUITE_P(Every, Wrapped,
                         ::testing::Combine(::testing::ValuesIn(wrapped), ::testing::Bool(),
                                            ::testing::ValuesIn(allocators)),
                         name_of);

}  // namespace

}  // namespace unknot::faults
