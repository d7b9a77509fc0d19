// SPDX-License-Identifier: Apache-2.0
// The conformance suite: every door with every allocator in every place. The claims stand in the victims.
#include <gtest/gtest.h>

#include "tests/doors/allocators.h"
#include "tests/process/child.h"

namespace unknot::doors {

namespace {

using process::Command;
using process::describe;
using process::Result;
using process::run;

const std::string victims = UNKNOT_BINARY_DIR "/";

void expect_success(const Command& command) {
    const Result result = run(command);
    EXPECT_TRUE(result.succeeded()) << describe(result) << '\n' << result.out << result.err;
}

// Where auto would pass through, protecting is asked for; and no stretch may use up its budget, because the calls after
// that are the real allocator's.
Command under(const Allocator& allocator, std::vector<std::string> argv,
              std::vector<std::pair<std::string, std::string>> more = {}) {
    Command command{std::move(argv),
                    {{"LD_PRELOAD", preload(allocator)}, {"UNKNOT_MODE", "protect"}, {"UNKNOT_STRETCH_MAX", "1024G"}}};
    command.environment.insert(command.environment.end(), more.begin(), more.end());
    command.argv[0] = victims + command.argv[0];
    return command;
}

Command beside_vendor(const Allocator& allocator, std::vector<std::string> argv) {
    Command command = under(allocator, std::move(argv));
    command.environment[0].second = preload_with_vendor(allocator);
    return command;
}

std::string name_of(const testing::TestParamInfo<Allocator>& info) {
    return info.param.name;
}

const Allocator& allocator_of(const Allocator& parameter) {
    return parameter;
}
const Allocator& allocator_of(const std::tuple<Allocator, const char*, const char*>& parameter) {
    return std::get<0>(parameter);
}

template <class Parameter>
class WithAllocator : public testing::TestWithParam<Parameter> {
  protected:
    void SetUp() override {
        const Allocator& allocator = allocator_of(this->GetParam());
        if (!is_installed(allocator)) GTEST_SKIP() << "this system has no " << allocator;
    }
};

class EveryDoor : public WithAllocator<std::tuple<Allocator, const char*, const char*>> {};

TEST_P(EveryDoor, keeps_its_blocks) {
    const auto& [allocator, here, there] = GetParam();
    expect_success(under(allocator, {"every_door", here, there}));
}

TEST_P(EveryDoor, resizes_its_blocks) {
    const auto& [allocator, here, there] = GetParam();
    expect_success(under(allocator, {"reallocations", here, there}));
}

std::string places_of(const testing::TestParamInfo<EveryDoor::ParamType>& info) {
    const auto& [allocator, here, there] = info.param;
    return std::string(allocator.name) + "_allocated_" + here + "_freed_" + there;
}

INSTANTIATE_TEST_SUITE_P(Allocators, EveryDoor,
                         testing::Combine(testing::ValuesIn(allocators),
                                          testing::Values("plain", "walk", "constructor"),
                                          testing::Values("plain", "thread", "walk", "constructor")),
                         places_of);

class VendorDoor : public WithAllocator<std::tuple<Allocator, const char*, const char*>> {};

TEST_P(VendorDoor, keeps_its_blocks) {
    const auto& [allocator, here, there] = GetParam();
    expect_success(beside_vendor(allocator, {"every_door", here, there, "vendor"}));
}

TEST_P(VendorDoor, resizes_its_blocks) {
    const auto& [allocator, here, there] = GetParam();
    expect_success(beside_vendor(allocator, {"reallocations", here, there, "vendor"}));
}

INSTANTIATE_TEST_SUITE_P(
    Allocators, VendorDoor,
    testing::Combine(testing::Values(tcmalloc, tcmalloc_minimal, tcmalloc_debug, jemalloc, mimalloc),
                     testing::Values("plain", "walk", "constructor"), testing::Values("plain", "thread", "walk")),
    places_of);

class VendorCalls : public WithAllocator<Allocator> {};

TEST_P(VendorCalls, answer_for_every_block) {
    for (const char* where : {"plain", "thread", "walk", "constructor"}) {
        expect_success(beside_vendor(GetParam(), {"vendor_calls", where}));
    }
}

INSTANTIATE_TEST_SUITE_P(Allocators, VendorCalls,
                         testing::Values(tcmalloc, tcmalloc_minimal, tcmalloc_debug, jemalloc, mimalloc), name_of);

TEST_P(VendorCalls, clear_their_own_blocks_past_the_budget) {
    for (Command command : {under(GetParam(), {"past_the_budget"}), beside_vendor(GetParam(), {"past_the_budget"})}) {
        command.environment[2] = {"UNKNOT_STRETCH_MAX", "64K"};
        expect_success(command);
    }
}

class Contracts : public WithAllocator<Allocator> {};

TEST_P(Contracts, hold_inside_a_walk) {
    expect_success(under(GetParam(), {"contracts", "walk"}));
}
TEST_P(Contracts, hold_inside_a_constructor) {
    // There libc's own blocks stay libc's (policy/route.h), and so do its answers.
    std::vector<std::string> victim{"contracts", "constructor"};
    if (*GetParam().library == '\0') victim.emplace_back("reference");
    expect_success(under(GetParam(), victim));
}
TEST_P(Contracts, hold_inside_a_walk_where_a_full_arena_fails) {
    expect_success(under(GetParam(), {"contracts", "walk"}, {{"UNKNOT_ARENA_FULL", "fail"}}));
}
TEST_P(Contracts, fail_as_they_should_when_the_arena_is_full) {
    expect_success(
        under(GetParam(), {"exhausted", "fail"}, {{"UNKNOT_ARENA_FULL", "fail"}, {"UNKNOT_ARENA_MAX", "256K"}}));
}
TEST_P(Contracts, are_kept_by_the_allocator_when_the_arena_is_full) {
    expect_success(under(GetParam(), {"exhausted", "forward"}, {{"UNKNOT_ARENA_MAX", "256K"}}));
}

INSTANTIATE_TEST_SUITE_P(Allocators, Contracts, testing::ValuesIn(allocators), name_of);

// The claims themselves, held against glibc without the shim: a claim that glibc breaks is not glibc's contract.
TEST(Reference, keeps_the_contracts) {
    expect_success({{victims + "contracts", "plain", "reference"}});
    expect_success({{victims + "every_door", "plain", "thread"}});
}

TEST(Reference, keeps_the_contracts_behind_the_shim) {
    expect_success(under(glibc, {"contracts", "plain", "reference"}));
}

}  // namespace

}  // namespace unknot::doors
