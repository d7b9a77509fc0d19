// SPDX-License-Identifier: Apache-2.0
#include "tests/incidents/incidents.h"

namespace unknot::preload {

Allocator preloading(const char* libraries) {
    return {.name = libraries, .soname = libraries, .kind = "", .mode = ""};
}

process::Command program(const std::string& path) {
    return {{built(path)}};
}

process::Command reproducer(const char* shape) {
    return {{built("phdr_deadlock"), shape}};
}

void expect_bare_hang(const process::Command& command, const Allocator& allocator) {
    for (int tries = 0; tries < most_tries; ++tries) {
        const process::Result bare = run_bare(command, allocator);
        if (bare.outcome == process::Outcome::hung) return testing::Test::RecordProperty("ran_before_it_hung", tries);
        ASSERT_TRUE(bare.succeeded()) << describe(bare) << "\n" << bare.err;
    }
    FAIL() << "the reproducer no longer hangs";
}

void expect_runs(const process::Command& command, const Allocator& allocator, const Counters& why,
                 const std::string& mode) {
    std::vector<std::uint64_t> sums(why.size());
    for (int run = 0; run < shimmed_runs; ++run) {
        const ShimmedRun shimmed = run_with_shim(command, allocator, mode);
        ASSERT_TRUE(shimmed.result.succeeded()) << shimmed.story();
        ASSERT_TRUE(shimmed.report) << "no report; " << shimmed.story();
        // `auto` protects from the start where the allocator unwinds, else once a walk was seen inside it.
        const bool seen_inside = shimmed.report->number("walks_in_allocator") > 0;
        EXPECT_TRUE(shimmed.report->word("mode") == "protect" || (mode.empty() && !seen_inside)) << shimmed.story();
        EXPECT_EQ(shimmed.report->word("probe"), "owner_words");
        EXPECT_EQ(shimmed.report->number("forwarded"), 0u);
        EXPECT_EQ(shimmed.report->number("deferred"), shimmed.report->number("drained"));
        for (std::size_t i = 0; i < why.size(); ++i) sums[i] += shimmed.report->number(why[i]);
    }
    for (std::size_t i = 0; i < why.size(); ++i) EXPECT_GT(sums[i], 0u) << why[i];
}

void expect_by_walks(const process::Command& command, const Allocator& allocator, ByWalks fate) {
    if (fate == ByWalks::hangs) {
        int tries = 0;
        while (run_with_walks(command, allocator).result.outcome != process::Outcome::hung)
            ASSERT_LT(++tries, most_tries) << "cured by walks alone after all: docs/incidents.md is to say so";
        return;
    }
    for (int run = 0; run < shimmed_runs; ++run) {
        const ShimmedRun shimmed = run_with_walks(command, allocator);
        ASSERT_TRUE(shimmed.result.succeeded()) << "walks alone: " << shimmed.story();
        ASSERT_TRUE(shimmed.report) << "walks alone: no report; " << shimmed.story();
        EXPECT_EQ(shimmed.report->word("mode"), "walks");
        EXPECT_EQ(shimmed.report->word("probe"), "owner_words");
        EXPECT_EQ(shimmed.report->number("diverted"), 0u);
        EXPECT_EQ(shimmed.report->number("deferred"), 0u);
    }
}

void expect_cured(const process::Command& command, const Allocator& allocator, const Counters& why,
                  const std::string& mode) {
    expect_bare_hang(command, allocator);
    expect_runs(command, allocator, why, mode);
    expect_by_walks(command, allocator, ByWalks::runs);
}

}  // namespace unknot::preload
