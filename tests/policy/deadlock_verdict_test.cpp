// SPDX-License-Identifier: Apache-2.0
// Verdict and advice where a deadlock was seen.
#include <gtest/gtest.h>

#include <initializer_list>
#include <tuple>
#include <vector>

#include "tests/policy/risk_facts.h"

namespace unknot {
namespace {

TEST(Verdict, deadlocked_outranks_everything) {
    RiskFacts facts = full_tcmalloc(StackMethod::libunwind);
    facts.shim = protecting();
    facts.cycle = Cycle::other_locks;
    EXPECT_EQ(judge(facts).verdict, Verdict::deadlocked);
    EXPECT_EQ(advice_for(facts).front(), Advice::end_the_process);
    facts.can_be_rescued = true;
    EXPECT_EQ(advice_for(facts).front(), Advice::rescue);
}

// Another allocator changes nothing there, and neither does the shim.
TEST(Verdict, gives_no_advice_that_would_not_help_against_loader_locks_in_two_orders) {
    RiskFacts facts = full_tcmalloc(StackMethod::libunwind);
    facts.cycle = Cycle::loader_locks;
    EXPECT_TRUE(judge(facts).reasons.has(Reason::cycle_of_loader_locks));
    EXPECT_EQ(advice_for(facts), (std::vector{Advice::end_the_process, Advice::keep_one_order}));
}

// The allocator has no part in it, so nothing is said about it.
TEST(Verdict, advises_the_shim_where_the_write_lock_has_lost_its_owner) {
    for (const auto& [cycle, reason] : {std::pair(Cycle::owner_gone, Reason::forked_beside_walk),
                                        std::pair(Cycle::interrupted, Reason::walk_interrupted)}) {
        RiskFacts facts;
        facts.allocator.is_libc = true;
        facts.allocator.glibc_minor = 36;
        facts.cycle = cycle;
        EXPECT_TRUE(judge(facts).reasons.has(reason));
        EXPECT_EQ(advice_for(facts), (std::vector{Advice::end_the_process, Advice::use_shim}));
        facts.is_static = true;
        EXPECT_EQ(advice_for(facts), std::vector{Advice::end_the_process}) << "a static program has no preload";
    }
}

TEST(Verdict, gives_no_advice_but_for_the_program_where_the_shim_is_no_cure) {
    for (const auto& [cycle, reason, advice] :
         {std::tuple(Cycle::waits_under_lock, Reason::waits_under_loader_lock, Advice::wait_after_loading),
          std::tuple(Cycle::application_locks, Reason::cycle_of_application_locks, Advice::order_locks),
          std::tuple(Cycle::own_lock, Reason::waits_for_own_lock, Advice::no_locks_in_handlers),
          std::tuple(Cycle::abandoned_lock, Reason::lock_abandoned, Advice::no_locks_after_fork)}) {
        RiskFacts facts = full_tcmalloc(StackMethod::libunwind);
        facts.shim = protecting();
        facts.cycle = cycle;
        const Judgement judgement = judge(facts);
        EXPECT_EQ(judgement.verdict, Verdict::deadlocked);
        EXPECT_EQ(judgement.reasons.count, 1u);
        EXPECT_TRUE(judgement.reasons.has(reason));
        EXPECT_EQ(advice_for(facts), (std::vector{Advice::end_the_process, advice}));
    }
}

// Even glibc's malloc, which takes no part itself: told to protect, the shim does.
TEST(Verdict, advises_the_shim_against_a_cycle_that_it_cuts_whatever_the_allocator) {
    RiskFacts facts;
    facts.allocator.is_libc = true;
    facts.allocator.glibc_minor = 36;
    facts.cycle = Cycle::other_locks;
    EXPECT_EQ(advice_for(facts), (std::vector{Advice::end_the_process, Advice::use_shim}));
}

}  // namespace
}  // namespace unknot
