// SPDX-License-Identifier: Apache-2.0
#include "policy/stretch.h"

#include <gtest/gtest.h>

namespace unknot {
namespace {

constexpr std::uint64_t budget = std::uint64_t{1} << 20;

TEST(Stretch, has_room_up_to_its_budget_and_not_a_byte_more) {
    EXPECT_TRUE(fits(budget - 1, 1, budget));
    EXPECT_FALSE(fits(budget, 1, budget));
    EXPECT_FALSE(fits(0, budget + 1, budget));
    EXPECT_FALSE(fits(UINT64_MAX, 1, budget)) << "what is used may lie beyond the budget";
}

TEST(Stretch, bounds_the_number_of_deferred_frees_however_small_they_are) {
    std::uint64_t waiting = 0;
    int frees = 0;
    while (fits(waiting, share_of(0), budget)) {
        waiting += share_of(0);
        ++frees;
    }
    EXPECT_EQ(frees, 4096);
}

TEST(Stretch, is_used_up_when_either_side_is) {
    EXPECT_FALSE(is_used_up({}, budget));
    EXPECT_TRUE(is_used_up({.diverted = budget, .waiting = 0}, budget));
    EXPECT_TRUE(is_used_up({.diverted = 0, .waiting = budget}, budget));
}

}  // namespace
}  // namespace unknot
