// SPDX-License-Identifier: Apache-2.0
// Evidence -> which allocator, and whether a thread inside its malloc may wait for a loader lock.
#include "policy/allocator.h"

#include <gtest/gtest.h>

namespace unknot {
namespace {

AllocatorEvidence full_tcmalloc(StackMethod method, unsigned glibc_minor = 36) {
    return {.has_tc_malloc = true, .has_growth_stacks = true, .stack_method = method, .glibc_minor = glibc_minor};
}

TEST(Allocator, is_told_by_the_symbols_of_the_object_that_defines_malloc) {
    EXPECT_EQ(identify({.is_libc = true}), AllocatorKind::glibc);
    EXPECT_EQ(identify({.has_tc_malloc = true}), AllocatorKind::tcmalloc_minimal);
    EXPECT_EQ(identify({.has_tc_malloc = true, .has_growth_stacks = true}), AllocatorKind::tcmalloc);
    EXPECT_EQ(identify({.has_tc_malloc = true, .has_growth_stacks = true, .is_debug_build = true}),
              AllocatorKind::tcmalloc_debug);
    EXPECT_EQ(identify({.has_tc_malloc = true, .is_debug_build = true}), AllocatorKind::tcmalloc_minimal);
    EXPECT_EQ(identify({.has_mallocx = true}), AllocatorKind::jemalloc);
    EXPECT_EQ(identify({.has_mi_malloc = true}), AllocatorKind::mimalloc);
    EXPECT_EQ(identify({}), AllocatorKind::unknown);
}

TEST(Allocator, is_libc_whatever_else_is_claimed) {
    EXPECT_EQ(identify({.is_libc = true, .has_tc_malloc = true, .has_mallocx = true}), AllocatorKind::glibc);
}

TEST(Allocator, that_nobody_knows_is_protected) {
    EXPECT_TRUE(unwinds_inside_malloc({}));
    EXPECT_EQ(resolve_mode(Mode::automatic, {}), Mode::protect);
}

TEST(Allocator, that_takes_no_stacks_is_passed_through) {
    for (const AllocatorEvidence& seen : {AllocatorEvidence{.is_libc = true}, AllocatorEvidence{.has_mi_malloc = true},
                                          AllocatorEvidence{.has_tc_malloc = true},  // minimal
                                          AllocatorEvidence{.has_mallocx = true}}) {
        EXPECT_EQ(resolve_mode(Mode::automatic, seen), Mode::pass_through);
    }
}

// It profiles with the method it was configured with; without prof:true it does not unwind at all.
TEST(Allocator, jemalloc_asks_for_the_lock_while_it_profiles_if_its_unwinder_does) {
    AllocatorEvidence seen{.has_mallocx = true, .prof_enabled = true, .glibc_minor = 36};
    EXPECT_TRUE(unwinds_inside_malloc(seen)) << "the method is not known";
    seen.stack_method = StackMethod::libunwind;
    EXPECT_TRUE(unwinds_inside_malloc(seen));
    seen.prof_enabled = false;
    EXPECT_FALSE(unwinds_inside_malloc(seen));
    seen.prof_enabled = true;
    seen.stack_method = StackMethod::libgcc;
    EXPECT_FALSE(unwinds_inside_malloc(seen));
    seen.unwind_backtrace_is_libunwind = true;
    EXPECT_TRUE(unwinds_inside_malloc(seen));
}

TEST(Allocator, tcmalloc_asks_for_the_lock_as_its_stack_method_does) {
    EXPECT_TRUE(unwinds_inside_malloc(full_tcmalloc(StackMethod::libunwind)));
    EXPECT_TRUE(unwinds_inside_malloc(full_tcmalloc(StackMethod::unknown)));
    EXPECT_FALSE(unwinds_inside_malloc(full_tcmalloc(StackMethod::generic_fp)));
    EXPECT_FALSE(unwinds_inside_malloc(full_tcmalloc(StackMethod::none)));
}

// glibc 2.35 brought _dl_find_object, which takes no lock.
TEST(Allocator, libgcc_asks_for_the_lock_before_glibc_2_35_or_where_libunwind_stands_in_for_it) {
    EXPECT_TRUE(unwinds_inside_malloc(full_tcmalloc(StackMethod::libgcc, 34)));
    EXPECT_FALSE(unwinds_inside_malloc(full_tcmalloc(StackMethod::libgcc, 35)));
    EXPECT_TRUE(unwinds_inside_malloc(full_tcmalloc(StackMethod::libgcc, 0)));  // another libc
    AllocatorEvidence bound_to_libunwind = full_tcmalloc(StackMethod::libgcc, 36);
    bound_to_libunwind.unwind_backtrace_is_libunwind = true;
    EXPECT_TRUE(unwinds_inside_malloc(bound_to_libunwind));
    AllocatorEvidence older = full_tcmalloc(StackMethod::libgcc, 36);  // as it came with an older compiler
    older.libgcc_walks = true;
    EXPECT_TRUE(unwinds_inside_malloc(older));
}

TEST(Allocator, does_not_matter_when_the_mode_was_asked_for) {
    for (const Mode asked : {Mode::protect, Mode::observe, Mode::off}) {
        EXPECT_EQ(resolve_mode(asked, {}), asked);
        EXPECT_EQ(resolve_mode(asked, {.is_libc = true}), asked);
    }
}

}  // namespace
}  // namespace unknot
