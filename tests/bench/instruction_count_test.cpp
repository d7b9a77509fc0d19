// SPDX-License-Identifier: Apache-2.0
// Guards the price of the hot path in the one currency that does not move with the machine: instructions, counted by
// callgrind. What the shim adds to a loop is the loop with it minus the loop without it, so the allocator drops out: it
// is tcmalloc, because glibc's own operator new calls malloc through us once more and its free lists remember the
// start.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/bench/counted_loops.h"
#include "tests/process/child.h"

namespace unknot {
namespace {

constexpr int few_turns = 1000;
constexpr int many_turns = 11000;
constexpr const char* allocator = "libtcmalloc.so.4";
// Of the budget: what one refill of a thread cache, more or less, leaves over the turns.
constexpr double slack = 1.03;

struct Loop {
    const char* name;
    double budget;
};

std::string in_build(const char* name) {
    return std::string(UNKNOT_BINARY_DIR "/") + name;
}

std::string before_allocator(const char* interposer) {
    return in_build(interposer) + ":" + allocator;
}

// Written by callgrind, removed with the object.
class CountFile {
  public:
    explicit CountFile(const std::string& name) : path_(in_build(("callgrind." + name).c_str())) {}
    ~CountFile() { std::filesystem::remove(path_); }
    CountFile(const CountFile&) = delete;
    CountFile& operator=(const CountFile&) = delete;

    const std::string& path() const { return path_; }
    // The line is "summary: N" or, with one event type, "totals: N".
    double instructions() const {
        std::ifstream file(path_);
        for (std::string word; file >> word;) {
            double count = 0;
            if ((word == "summary:" || word == "totals:") && file >> count) return count;
        }
        return 0;
    }

  private:
    std::string path_;
};

double instructions_of(const Loop& loop, const std::string& preload, int turns) {
    const CountFile counts(std::string(loop.name) + "." + std::to_string(turns));
    const process::Result result = process::run({
        .argv = {"valgrind", "--tool=callgrind", "--callgrind-out-file=" + counts.path(), in_build("counted_loop"),
                 loop.name, std::to_string(turns)},
        .environment = {{"LD_PRELOAD", preload}, {"UNKNOT_MODE", "protect"}, {"UNKNOT_REPORT", ""}},
    });
    EXPECT_TRUE(result.succeeded()) << process::describe(result) << "\n" << result.err;
    const double count = counts.instructions();
    EXPECT_GT(count, 0) << "callgrind wrote no total";
    return count;
}

double instructions_per_turn(const Loop& loop, const std::string& preload) {
    return (instructions_of(loop, preload, many_turns) - instructions_of(loop, preload, few_turns)) /
           (many_turns - few_turns);
}

void PrintTo(const Loop& loop, std::ostream* out) {
    *out << loop.name;
}

class HotPathInstructions : public testing::TestWithParam<Loop> {};

TEST_P(HotPathInstructions, stay_within_the_budget_while_protecting) {
    const Loop& loop = GetParam();
    const double bare = instructions_per_turn(loop, allocator);
    const double protecting = instructions_per_turn(loop, before_allocator("libunknot.so"));
    EXPECT_LE(protecting - bare, loop.budget * slack);
    // At least a jump per call: otherwise the shim did not stand in the way, and nothing was measured.
    EXPECT_GE(protecting - bare, 2);
}

TEST_P(HotPathInstructions, of_a_null_interposer_are_one_jump_per_call) {
    const Loop& loop = GetParam();
    const double bare = instructions_per_turn(loop, allocator);
    const double interposed = instructions_per_turn(loop, before_allocator("libunknot_null.so"));
    EXPECT_GE(interposed - bare, 2 / slack);
    EXPECT_LE(interposed - bare, 3 * slack);
}

// libunknot_walks.so is in no allocation's way.
TEST_P(HotPathInstructions, by_walks_alone_are_the_allocators_own) {
    const Loop& loop = GetParam();
    // What two starts of the process differ by, spread over the turns; a single instruction in the way would be 1.
    constexpr double starts_differ = 0.1;
    EXPECT_NEAR(instructions_per_turn(loop, before_allocator("libunknot_walks.so")),
                instructions_per_turn(loop, allocator), starts_differ);
}

// What a turn takes more behind the shim; below `least` the loop does not do what it is for.
void expect_added(const Loop& loop, double least, const char* otherwise) {
    const double bare = instructions_per_turn(loop, allocator);
    const double protecting = instructions_per_turn(loop, before_allocator("libunknot.so"));
    EXPECT_LE(protecting - bare, loop.budget * slack);
    EXPECT_GE(protecting - bare, least) << otherwise;
}

// A storm of walks that allocate nothing.
TEST(WalkInstructions, stay_within_the_budget) {
    expect_added({"shortest_walk", 26}, 2, "the shim was not asked");
}

// The same from two places in turn: each time the one is set aside and the other resumed.
TEST(WalksInstructions, stay_within_the_budget) {
    expect_added({"shortest_walks", 2 * 102}, 2 * 26, "the shim was not asked");
}

// A block that a walk's callback takes from the arena and gives back: nothing of it is the allocator's.
TEST(DivertedPairInstructions, stay_within_the_budget) {
    constexpr Loop pairs{"diverted_pairs", 134};
    const double protecting = instructions_per_turn(pairs, before_allocator("libunknot.so"));
    EXPECT_LE(protecting, pairs.budget * slack);
    EXPECT_GE(protecting, 100) << "it was not diverted";
}

// A block of the allocator's that a walk's callback frees: what it takes to put that off and to do it later.
TEST(DeferredFreeInstructions, stay_within_the_budget) {
    expect_added({"deferred_frees", 535}, 100, "it was not deferred");
}

// The walk that an unwinder makes where nobody is in its way, beside libc's to the first object, where it ends too. A
// fifth of it is the search among the objects that are loaded here.
TEST(UnwinderWalkInstructions, stay_within_the_budget) {
    expect_added({"unwinders_walk", 63}, 30, "it was not an unwinder's");
}

#define UNKNOT_LOOP(name, budget) Loop{#name, budget},
constexpr Loop loops[] = {UNKNOT_COUNTED_LOOPS(UNKNOT_LOOP)};
INSTANTIATE_TEST_SUITE_P(, HotPathInstructions, testing::ValuesIn(loops),
                         [](const auto& loop) { return std::string(loop.param.name); });
#undef UNKNOT_LOOP

}  // namespace
}  // namespace unknot
