// SPDX-License-Identifier: Apache-2.0
// Every rule for who may be mended and who may be sent back, one test a rule.
#include "policy/mending.h"

#include <gtest/gtest.h>

#include <vector>

namespace unknot {
namespace {

MendingFacts dead() {
    MendingFacts facts;
    facts.machine_is_proved = true;
    facts.glibc_minor = 36;
    facts.cycle = Cycle::other_locks;
    facts.can_be_immune = true;
    facts.waiter_is_listed = true;
    return facts;
}

MendingFacts orphan() {
    MendingFacts facts;
    facts.machine_is_proved = true;
    facts.glibc_minor = 36;
    facts.cycle = Cycle::owner_gone;
    return facts;
}

TEST(Mending, is_allowed_where_all_of_it_is_proved) {
    EXPECT_EQ(why_not_rescue(dead()), Refusal::none);
    EXPECT_EQ(why_not_rescue(orphan()), Refusal::none);
}

struct Change {
    const char* name;
    void (*make)(MendingFacts&);
    Refusal of_dead, of_orphan;
};

constexpr Change changes[] = {
    {"lives", [](MendingFacts& facts) { facts.cycle = Cycle::none; }, Refusal::not_deadlocked, Refusal::not_deadlocked},
    {"loader_locks", [](MendingFacts& facts) { facts.cycle = Cycle::loader_locks; }, Refusal::other_cycle,
     Refusal::other_cycle},
    {"interrupted", [](MendingFacts& facts) { facts.cycle = Cycle::interrupted; }, Refusal::other_cycle,
     Refusal::other_cycle},
    {"machine", [](MendingFacts& facts) { facts.machine_is_proved = false; }, Refusal::other_machine,
     Refusal::other_machine},
    {"other_libc", [](MendingFacts& facts) { facts.glibc_minor = 0; }, Refusal::unproved_libc, Refusal::unproved_libc},
    {"older_libc", [](MendingFacts& facts) { facts.glibc_minor = 28; }, Refusal::unproved_libc, Refusal::unproved_libc},
    {"newer_libc", [](MendingFacts& facts) { facts.glibc_minor = 43; }, Refusal::unproved_libc, Refusal::unproved_libc},
    {"stopped", [](MendingFacts& facts) { facts.is_stopped = true; }, Refusal::is_stopped, Refusal::is_stopped},
    {"traced", [](MendingFacts& facts) { facts.is_traced = true; }, Refusal::is_traced, Refusal::is_traced},
    {"shadow_stack", [](MendingFacts& facts) { facts.has_shadow_stack = true; }, Refusal::has_shadow_stack,
     Refusal::none},
    {"allocator_in_executable", [](MendingFacts& facts) { facts.allocator_in_executable = true; },
     Refusal::allocator_in_executable, Refusal::none},
    {"no_cure", [](MendingFacts& facts) { facts.can_be_immune = false; }, Refusal::no_cure, Refusal::none},
    {"nobody_listed", [](MendingFacts& facts) { facts.waiter_is_listed = false; }, Refusal::walk_not_listed,
     Refusal::none},
    {"list_edited", [](MendingFacts& facts) { facts.list_is_edited = true; }, Refusal::none, Refusal::list_is_edited},
};

class Rule : public testing::TestWithParam<Change> {};

TEST_P(Rule, is_kept) {
    MendingFacts one = dead(), other = orphan();
    GetParam().make(one);
    GetParam().make(other);
    EXPECT_EQ(why_not_rescue(one), GetParam().of_dead);
    EXPECT_EQ(why_not_rescue(other), GetParam().of_orphan);
}

INSTANTIATE_TEST_SUITE_P(Mending, Rule, testing::ValuesIn(changes),
                         [](const auto& rule) { return std::string(rule.param.name); });

constexpr FrameOf libc = FrameOf::libc, walk = FrameOf::walk, unwind = FrameOf::libunwind, gcc = FrameOf::libgcc,
                  backtrace = FrameOf::backtrace, allocator = FrameOf::allocator, other = FrameOf::other;

WayOut way(const std::vector<FrameOf>& frames) {
    return way_out(frames.data(), frames.size());
}

TEST(WayOut, of_a_trace_by_libunwind_is_the_walk_with_0) {
    const WayOut out = way({libc, libc, walk, unwind, unwind, unwind, allocator});
    EXPECT_EQ(out.refusal, Refusal::none);
    EXPECT_EQ(out.leave, 2u);
    EXPECT_EQ(out.result, 0u);
    EXPECT_EQ(way({libc, walk, unwind, allocator, other}).refusal, Refusal::none) << "glibc 2.31 has one frame less";
}

// libgcc_s asserts that it finds the first frame.
TEST(WayOut, of_a_trace_by_libgcc_is_the_whole_of_backtrace) {
    const WayOut out = way({libc, libc, walk, gcc, gcc, backtrace, allocator});
    EXPECT_EQ(out.refusal, Refusal::none);
    EXPECT_EQ(out.leave, 5u);
    EXPECT_EQ(out.result, end_of_stack);
}

TEST(WayOut, is_none_for_a_throw) {
    EXPECT_EQ(way({libc, libc, walk, gcc, gcc, other}).refusal, Refusal::walk_not_listed);
    EXPECT_EQ(way({libc, libc, walk, gcc, gcc, allocator}).refusal, Refusal::walk_not_listed);
    EXPECT_EQ(way({libc, libc, walk, gcc, gcc}).refusal, Refusal::walk_not_listed);
    EXPECT_EQ(way({libc, libc, walk, gcc, backtrace, other}).refusal, Refusal::walk_not_listed);
}

TEST(WayOut, is_none_for_anybody_else_s_walk) {
    EXPECT_EQ(way({libc, libc, walk, other, allocator}).refusal, Refusal::walk_not_listed);
    EXPECT_EQ(way({libc, libc, walk, unwind, unwind, other, allocator}).refusal, Refusal::walk_not_listed)
        << "a profiler that unwinds";
    EXPECT_EQ(way({libc, libc, walk, allocator}).refusal, Refusal::walk_not_listed) << "no unwinder";
    EXPECT_EQ(way({libc, libc, walk, unwind, unwind}).refusal, Refusal::walk_not_listed) << "cut short";
    EXPECT_EQ(way({libc, libc, walk, unwind, gcc, allocator}).refusal, Refusal::walk_not_listed);
}

// In a callback, or in a walk that already goes on, the walk itself has something to lose.
TEST(WayOut, is_none_for_what_does_not_wait_for_the_lock_of_its_own_walk) {
    EXPECT_EQ(way({}).refusal, Refusal::not_in_walk);
    EXPECT_EQ(way({walk, unwind, allocator}).refusal, Refusal::not_in_walk) << "it runs";
    EXPECT_EQ(way({libc, libc, unwind, allocator}).refusal, Refusal::not_in_walk) << "another lock";
    EXPECT_EQ(way({libc, other, walk, unwind, allocator}).refusal, Refusal::not_in_walk) << "a callback";
    EXPECT_EQ(way({libc, libc}).refusal, Refusal::not_in_walk);
}

TEST(Wait, is_the_same_only_in_every_word_and_as_a_broken_sleep) {
    const Wait judged{202, 0x1000, 0x2000, 0x3000};
    EXPECT_TRUE(still_in(judged, judged, broken_sleep));
    EXPECT_FALSE(still_in(judged, judged, 0)) << "it has just been handed the lock";
    EXPECT_FALSE(still_in(judged, judged, -4)) << "EINTR is an answer too";
    for (const Wait& other_wait : {Wait{201, 0x1000, 0x2000, 0x3000}, Wait{202, 0x1004, 0x2000, 0x3000},
                                   Wait{202, 0x1000, 0x2008, 0x3000}, Wait{202, 0x1000, 0x2000, 0x3002}})
        EXPECT_FALSE(still_in(judged, other_wait, broken_sleep));
}

}  // namespace
}  // namespace unknot
