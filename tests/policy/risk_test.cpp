// SPDX-License-Identifier: Apache-2.0
// Verdict, reasons and advice over plain facts.
#include <gtest/gtest.h>

#include <initializer_list>
#include <iterator>
#include <vector>

#include "tests/policy/risk_facts.h"

namespace unknot {
namespace {

TEST(Risk, is_none_without_stack_traces) {
    RiskFacts facts;
    facts.allocator.is_libc = true;
    facts.walker_allocates = facts.async_profiler_allocates = true;
    EXPECT_EQ(judge(facts).verdict, Verdict::not_affected);
    EXPECT_TRUE(advice_for(facts).empty());
    EXPECT_EQ(judge(jemalloc(false)).verdict, Verdict::not_affected);
    EXPECT_EQ(judge(jemalloc(true)).verdict, Verdict::not_affected) << "its libgcc takes no lock";
    EXPECT_TRUE(judge(jemalloc(true)).reasons.has(Reason::unwinds_without_loader));
    EXPECT_EQ(judge(full_tcmalloc(StackMethod::generic_fp)).verdict, Verdict::not_affected);
    EXPECT_EQ(judge(full_tcmalloc(StackMethod::libgcc)).verdict, Verdict::not_affected);
}

TEST(Risk, is_there_with_libunwind_in_every_libc) {
    for (const unsigned minor : {17u, 31u, 36u, 41u}) {
        const Judgement judgement = judge(full_tcmalloc(StackMethod::libunwind, minor));
        EXPECT_EQ(judgement.verdict, Verdict::at_risk);
        EXPECT_TRUE(judgement.reasons.has(Reason::unwinds_with_libunwind));
    }
}

TEST(Risk, of_libgcc_depends_on_libc_libgcc_and_binding) {
    EXPECT_TRUE(judge(full_tcmalloc(StackMethod::libgcc, 31)).reasons.has(Reason::unwinds_with_old_libgcc));
    RiskFacts facts = full_tcmalloc(StackMethod::libgcc);
    facts.allocator.libgcc_walks = true;
    EXPECT_TRUE(judge(facts).reasons.has(Reason::unwinds_with_old_libgcc));
    facts = full_tcmalloc(StackMethod::libgcc);
    facts.allocator.unwind_backtrace_is_libunwind = true;
    EXPECT_TRUE(judge(facts).reasons.has(Reason::unwinds_with_wrong_libgcc));
}

TEST(Risk, is_assumed_of_unknown_allocators_but_not_of_sanitizers) {
    RiskFacts facts;
    facts.allocator.glibc_minor = 36;
    EXPECT_EQ(judge(facts).verdict, Verdict::at_risk);
    facts.sanitizer = true;
    EXPECT_EQ(judge(facts).verdict, Verdict::not_affected);
}

TEST(Advice, comes_best_first) {
    RiskFacts facts = full_tcmalloc(StackMethod::libunwind);
    facts.walker_allocates = facts.async_profiler_allocates = true;
    EXPECT_EQ(advice_for(facts), (std::vector{Advice::upgrade_async_profiler, Advice::use_generic_fp,
                                              Advice::use_libgcc, Advice::use_tcmalloc_minimal, Advice::use_shim}));
}

TEST(Advice, is_never_what_would_not_work_there) {
    RiskFacts facts = full_tcmalloc(StackMethod::libunwind, 31);
    EXPECT_EQ(advice_for(facts), (std::vector{Advice::use_generic_fp, Advice::use_tcmalloc_minimal, Advice::use_shim}))
        << "libgcc calls dl_iterate_phdr before glibc 2.35";

    facts.knows_generic_fp = false;  // gperftools 2.8.1
    EXPECT_EQ(advice_for(facts), (std::vector{Advice::use_tcmalloc_minimal, Advice::use_shim}));

    facts = full_tcmalloc(StackMethod::libunwind);
    facts.allocator.unwind_backtrace_is_libunwind = true;
    EXPECT_FALSE(judge(facts).advice.has(Advice::use_libgcc));

    facts = full_tcmalloc(StackMethod::libunwind);
    facts.malloc_in_executable = true;
    EXPECT_EQ(advice_for(facts), (std::vector{Advice::use_generic_fp, Advice::use_libgcc, Advice::link_tcmalloc_minimal,
                                              Advice::use_walks_shim}))
        << "a malloc that is the program's own cannot be replaced, its walks can";
    facts.is_static = true;
    EXPECT_FALSE(judge(facts).advice.has(Advice::use_walks_shim)) << "no loader, no preload";
    EXPECT_FALSE(judge(facts).advice.has(Advice::link_walks)) << "of another libc";
    facts.is_static_glibc = true;
    EXPECT_TRUE(judge(facts).advice.has(Advice::link_walks));

    facts = RiskFacts{};  // a malloc of the program's own that nobody knows
    facts.allocator.glibc_minor = 36;
    facts.malloc_in_executable = true;
    EXPECT_EQ(advice_for(facts), std::vector{Advice::use_walks_shim});

    facts = full_tcmalloc(StackMethod::libunwind, 0);  // another libc
    EXPECT_FALSE(judge(facts).advice.has(Advice::use_shim));
    EXPECT_FALSE(judge(facts).advice.has(Advice::use_libgcc));
}

TEST(Advice, for_jemalloc_is_to_stop_profiling_first) {
    RiskFacts facts = jemalloc(true);
    facts.allocator.unwind_backtrace_is_libunwind = true;
    EXPECT_TRUE(judge(facts).reasons.has(Reason::allocator_profiles));
    EXPECT_EQ(advice_for(facts),
              (std::vector{Advice::turn_profiling_off, Advice::use_another_allocator, Advice::use_shim}));
}

TEST(Shim, protects_by_owner_words_or_by_walks_that_do_not_wait) {
    RiskFacts facts = full_tcmalloc(StackMethod::libunwind);
    facts.shim = protecting();
    EXPECT_EQ(judge(facts).verdict, Verdict::is_protected);
    facts.shim.probe = Probe::wrapper;
    EXPECT_EQ(judge(facts).verdict, Verdict::is_protected);
    EXPECT_TRUE(judge(facts).reasons.has(Reason::shim_sees_walks_only));
    facts.shim.walk_mode = WalkMode::native;
    EXPECT_EQ(judge(facts).verdict, Verdict::at_risk);
}

// Whose malloc it is, and whether its calls reach the shim, makes no difference there.
TEST(Shim, protects_by_its_walks_alone_where_they_are_seen_and_do_not_wait) {
    for (const Mode mode : {Mode::walks, Mode::pass_through}) {
        for (const bool reached : {true, false}) {
            RiskFacts facts = full_tcmalloc(StackMethod::libunwind);
            facts.shim = protecting();
            facts.shim.mode = mode;
            facts.shim.reached = reached;
            facts.shim.wrong_order = facts.malloc_in_executable = !reached;
            EXPECT_EQ(judge(facts).verdict, Verdict::is_protected);
            EXPECT_TRUE(judge(facts).reasons.has(Reason::shim_protects_by_walks));
            EXPECT_FALSE(judge(facts).reasons.has(Reason::shim_bypassed));
            EXPECT_TRUE(advice_for(facts).empty());
            facts.shim.walk_mode = WalkMode::native;
            EXPECT_EQ(judge(facts).verdict, Verdict::at_risk);
            facts.shim = protecting();
            facts.shim.mode = mode;
            facts.shim.probe = Probe::wrapper;
            EXPECT_EQ(judge(facts).verdict, Verdict::at_risk);
        }
    }
}

TEST(Shim, that_does_not_protect_is_named_with_the_remedy) {
    RiskFacts facts = full_tcmalloc(StackMethod::libunwind);
    for (const Mode mode : {Mode::off, Mode::observe}) {
        facts.shim = protecting();
        facts.shim.mode = mode;
        EXPECT_EQ(judge(facts).verdict, Verdict::at_risk);
        EXPECT_TRUE(judge(facts).reasons.has(Reason::shim_passive));
        EXPECT_EQ(advice_for(facts).back(), Advice::set_protect_mode);
    }
    facts.shim = protecting();
    facts.shim.reached = false;
    facts.shim.wrong_order = true;
    EXPECT_EQ(advice_for(facts).back(), Advice::preload_shim_first);
}

TEST(Witness, of_both_edges_outranks_what_is_known_of_the_allocator) {
    RiskFacts facts;
    facts.allocator.is_libc = true;
    facts.allocator.glibc_minor = 36;
    facts.both_edges_witnessed = true;
    EXPECT_EQ(judge(facts).verdict, Verdict::at_risk);
    EXPECT_TRUE(judge(facts).reasons.has(Reason::both_edges_witnessed));
}

// What is missing is neither a risk nor its absence; a risk that was seen remains one.
TEST(Verdict, is_unknown_where_something_is_missing) {
    for (const Missing missing : {Missing::permission, Missing::life, Missing::word_size, Missing::malloc,
                                  Missing::file, Missing::waits, Missing::end}) {
        for (RiskFacts facts : {RiskFacts{.allocator = {.is_libc = true}}, full_tcmalloc(StackMethod::libunwind)}) {
            facts.missing = missing;
            const bool seen = missing == Missing::waits && !facts.allocator.is_libc;
            EXPECT_EQ(judge(facts).verdict, seen ? Verdict::at_risk : Verdict::unknown);
            EXPECT_GT(judge(facts).reasons.count, 0u);
            facts.cycle = Cycle::other_locks;
            EXPECT_EQ(judge(facts).verdict, Verdict::deadlocked);
        }
    }
    RiskFacts facts;
    facts.missing = Missing::permission;
    EXPECT_EQ(advice_for(facts), std::vector{Advice::get_permission});
    facts.missing = Missing::end;
    EXPECT_EQ(advice_for(facts), std::vector{Advice::look_again});
    facts.missing = Missing::malloc;
    facts.both_edges_witnessed = true;
    EXPECT_EQ(judge(facts).verdict, Verdict::at_risk);
}

// The lists have room for everything at once.
TEST(Judgement, never_overflows_its_lists) {
    constexpr Cycle cycles[] = {
        Cycle::none,          Cycle::other_locks,      Cycle::owner_gone,        Cycle::interrupted,
        Cycle::loader_locks,  Cycle::waits_under_lock, Cycle::application_locks, Cycle::own_lock,
        Cycle::abandoned_lock};
    for (unsigned bits = 0; bits < std::size(cycles) << 13; ++bits) {
        const Cycle cycle = cycles[bits >> 13];
        const auto bit = [&](unsigned n) { return ((bits >> n) & 1) != 0; };
        RiskFacts facts =
            bit(0) ? full_tcmalloc(bit(1) ? StackMethod::libunwind : StackMethod::libgcc) : jemalloc(bit(1));
        if (bit(2)) facts.allocator.glibc_minor = 31;
        facts.allocator.unwind_backtrace_is_libunwind = bit(3);
        facts.allocator.libgcc_walks = bit(4);
        facts.malloc_in_executable = bit(5);
        facts.walker_allocates = facts.async_profiler_allocates = bit(6);
        facts.both_edges_witnessed = bit(7);
        facts.cycle = cycle;
        facts.shim.present = bit(8);
        facts.shim.reached = bit(9);
        facts.shim.mode = bit(10) ? Mode::protect : bit(9) ? Mode::walks : Mode::observe;
        facts.can_be_rescued = facts.can_be_immunised = true;
        facts.shim.probe = bit(11) ? Probe::wrapper : Probe::owner_words;
        facts.shim.wrong_order = bit(12);
        const Judgement judgement = judge(facts);
        ASSERT_LE(judgement.reasons.count, std::size(judgement.reasons.items));
        ASSERT_LE(judgement.advice.count, std::size(judgement.advice.items));
        ASSERT_TRUE(judgement.verdict != Verdict::at_risk || judgement.reasons.count > 0);
    }
}

}  // namespace
}  // namespace unknot
