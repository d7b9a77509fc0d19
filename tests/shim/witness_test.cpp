// SPDX-License-Identifier: Apache-2.0
// The table of return addresses: who is seen most is in it, however many others there are.
#include "shim/log/witness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace unknot {
namespace {

struct Table {
    WitnessRecord records[witness_records] = {};

    void see(std::uintptr_t caller) { witness(records, reinterpret_cast<const void*>(caller)); }
    std::uint64_t seen(std::uintptr_t caller) const {
        std::uint64_t sum = 0;
        for (const WitnessRecord& each : records) sum += each.address == caller ? each.count : 0;
        return sum;
    }
    std::uint64_t sum() const {
        std::uint64_t sum = 0;
        for (const WitnessRecord& each : records) sum += each.count;
        return sum;
    }
};

std::uintptr_t caller(unsigned number) {
    return 0x7f0000001000 + std::uintptr_t{number} * 37;
}

TEST(Witness, counts_a_few_callers_exactly) {
    Table table;
    for (unsigned turn = 0; turn < 100; ++turn)
        for (unsigned number = 0; number < 4; ++number) table.see(caller(number));
    for (unsigned number = 0; number < 4; ++number) EXPECT_EQ(table.seen(caller(number)), 100u);
}

// Wherever the frequent one's home is, and whoever came first.
TEST(Witness, keeps_the_frequent_one_among_many) {
    std::mt19937 random(1);
    for (unsigned frequent = 0; frequent < 200; ++frequent) {
        Table table;
        for (unsigned number = 0; number < 200; ++number) table.see(caller(number));
        for (unsigned turn = 0; turn < 6000; ++turn)
            table.see(caller(turn % 3 == 0 ? frequent : static_cast<unsigned>(random()) % 200));
        const auto most = std::max_element(std::begin(table.records), std::end(table.records),
                                           [](const auto& a, const auto& b) { return a.count < b.count; });
        EXPECT_EQ(most->address, caller(frequent)) << frequent;
        EXPECT_GT(most->count, 1000u) << "of 2000";
        EXPECT_LE(table.sum(), 6200u);
    }
}

// What was noted of the one before does not stay with the next.
TEST(Witness, gives_a_record_away_whole) {
    Table table;
    for (WitnessRecord& each : table.records) {
        each = {.address = 4711, .offset = 99, .count = 1, .object = {}};
        std::strcpy(each.object, "libgone.so");
    }
    for (int turn = 0; turn < 10; ++turn) table.see(caller(7));
    const auto* found = std::find_if(std::begin(table.records), std::end(table.records),
                                     [](const auto& each) { return each.address == caller(7); });
    ASSERT_NE(found, std::end(table.records));
    EXPECT_EQ(found->offset, 0u) << "nobody could tell here";
    EXPECT_STREQ(found->object, "");
}

TEST(Witness, is_used_by_many_at_once) {
    Table table;
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < 4; ++thread)
        threads.emplace_back([&, thread] {
            for (unsigned turn = 0; turn < 20'000; ++turn) table.see(caller(turn % (20 + thread)));
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(table.sum(), 0u);
    EXPECT_LE(table.sum(), 80'000u);
}

}  // namespace
}  // namespace unknot
