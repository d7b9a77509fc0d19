// SPDX-License-Identifier: Apache-2.0
// Every published shape of the deadlock: seen without the shim first, then absent with it. A reproducer that no longer
// hangs proves nothing, so it fails its test; what this system's tcmalloc cannot hang in is no such shape here
// (victims_test.cpp runs it all the same).
#include <gtest/gtest.h>

#include <vector>

#include "tests/preload/preload.h"
#include "tests/process/system.h"

namespace unknot::preload {

namespace {

// Where the bare hang is luck: how often to try for it.
constexpr int most_tries = 20;

struct Shape {
    const char* name;
    process::Command command;
    // What must show in the report when the shim has done its part. lock3 and the fork need only the second rule.
    bool diverts = false;
    bool defers = false;
    bool everywhere = false;  // also where traces_outside_page_heap_lock
};

process::Command reproducer(const char* shape) {
    return {{built("phdr_deadlock"), shape}};
}

// What it keeps from its walks is more than the arena's default limit: up to 1024 blocks of 2 MiB.
process::Command keeping_much(process::Command command) {
    command.environment.emplace_back("UNKNOT_ARENA_MAX", "4G");
    return command;
}

process::Command victim(const char* name) {
    return {{built(std::string("victims/") + name)}};
}

const Shape shapes[] = {
    {"malloc", reproducer("malloc"), true, false},
    {"calloc", reproducer("calloc"), true, false},
    {"realloc", reproducer("realloc"), true, true},
    {"free", reproducer("free"), false, true},
    {"operator_new", reproducer("new"), true, false},
    {"grow", keeping_much(reproducer("grow")), true, false, true},
    {"lock3", reproducer("lock3"), false, false, true},
    {"dlclose", victim("dlclose_frees"), true, true},
    {"failed_dlopen", victim("failed_dlopen_frees"), true, false},
    {"constructor_walks", victim("constructor_walks"), true, false},
    {"fork_during_walk", victim("fork_during_walk"), false, false, true},
    {"fork_beside_threads", victim("fork_beside_threads"), false, true},
    {"jvm_agent",
     {.argv = {"java", "-XX:-UsePerfData", "-XX:ErrorFile=/dev/null", "-Djdk.attach.allowAttachSelf=true", "-cp",
               built(""), "NativeGrowth", built("libsymbol_agent.so")},
      .leaves = {"/tmp/.java_pid%p"}},
     true,
     true,
     true},
};

// How googletest shows the parameter.
void PrintTo(const Shape& shape, std::ostream* out) {
    *out << shape.name;
}

class Hang : public testing::TestWithParam<Shape> {};

TEST_P(Hang, happens_without_the_shim_and_never_with_it_or_its_walks_alone) {
    const Shape& shape = GetParam();
    int tries = 0;
    bool hung = false;
    for (; !hung && tries < most_tries; ++tries) {
        const process::Result bare = run_bare(shape.command, tcmalloc);
        hung = bare.outcome == process::Outcome::hung;
        ASSERT_TRUE(hung || bare.succeeded()) << describe(bare) << "\n" << bare.err;
    }
    for (int run = 0; run < tries; ++run) {
        const ShimmedRun shimmed = run_with_shim(shape.command, tcmalloc, "");
        ASSERT_TRUE(shimmed.result.succeeded()) << shimmed.story();
        ASSERT_TRUE(shimmed.report) << "no report; " << shimmed.story();
        EXPECT_EQ(shimmed.report->word("mode"), "protect");
        EXPECT_EQ(shimmed.report->word("probe"), "owner_words");
        if (shape.diverts) {
            EXPECT_GT(shimmed.report->number("diverted"), 0u);
        }
        if (shape.defers) {
            EXPECT_GT(shimmed.report->number("deferred"), 0u);
        }
        EXPECT_EQ(shimmed.report->number("deferred"), shimmed.report->number("drained"));
        EXPECT_EQ(shimmed.report->number("forwarded"), 0u);
    }
    EXPECT_TRUE(hung) << "the reproducer no longer hangs";

    const ShimmedRun by_walks = run_with_walks(shape.command, tcmalloc);
    ASSERT_TRUE(by_walks.result.succeeded()) << "walks alone: " << by_walks.story();
    ASSERT_TRUE(by_walks.report) << "walks alone: no report; " << by_walks.story();
    EXPECT_EQ(by_walks.report->word("mode"), "walks");
    EXPECT_EQ(by_walks.report->number("diverted"), 0u);
    EXPECT_EQ(by_walks.report->number("deferred"), 0u);
}

std::vector<Shape> shapes_of_this_system() {
    std::vector<Shape> chosen;
    for (const Shape& shape : shapes)
        if (shape.everywhere || !process::traces_outside_page_heap_lock) chosen.push_back(shape);
    return chosen;
}

INSTANTIATE_TEST_SUITE_P(On_tcmalloc, Hang, testing::ValuesIn(shapes_of_this_system()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace

}  // namespace unknot::preload
