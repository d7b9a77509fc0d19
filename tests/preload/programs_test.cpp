// SPDX-License-Identifier: Apache-2.0
// Programs of every day behave under the shim as they do without it: same output, same errors, same exit status.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/preload/preload.h"

namespace unknot::preload {

namespace {

struct Everyday {
    const char* name;
    process::Command command;
};

const Everyday programs[] = {
    {"python3",
     {{"python3", "-c",
       "import json, ssl, sqlite3, ctypes; print(json.dumps([ssl.OPENSSL_VERSION, sqlite3.sqlite_version]))"}}},
    {"perl",
     {{"perl", "-MPOSIX", "-e",
       "my %h = map { $_ => $_ ** 2 } 1 .. 20000; print scalar(keys %h), floor(1.5), \"\\n\""}}},
    {"git", {{"git", "-C", UNKNOT_SOURCE_DIR, "log", "--oneline", "--stat", "-5"}}},
    {"java", {{"java", "-version"}}},
    {"gdb", {{"gdb", "--version"}}},
    {"cmake", {{"cmake", "--version"}}},
    {"failing", {{"ls", "/no/such/folder"}}},
};

using Combination = std::tuple<Everyday, Allocator, const char*>;

void PrintTo(const Everyday& everyday, std::ostream* out) {
    *out << everyday.name;
}

class Program : public testing::TestWithParam<Combination> {};

TEST_P(Program, behaves_the_same_with_and_without_the_shim) {
    const auto& [everyday, allocator, mode] = GetParam();
    if (!is_installed(allocator)) GTEST_SKIP() << "this system has no " << allocator.name;
    const process::Result bare = run_bare(everyday.command, allocator);
    const ShimmedRun shimmed = run_with_shim(everyday.command, allocator, mode);
    EXPECT_NE(bare.code, 127) << bare.err;
    EXPECT_EQ(describe(shimmed.result), describe(bare)) << shimmed.story();
    EXPECT_EQ(shimmed.result.out, bare.out);
    EXPECT_EQ(shimmed.result.err, bare.err);
    EXPECT_EQ(std::count(shimmed.log.begin(), shimmed.log.end(), '\n'), 1) << "more than the report: " << shimmed.log;
    EXPECT_TRUE(shimmed.report) << "the shim was not there; " << shimmed.story();
}

INSTANTIATE_TEST_SUITE_P(, Program,
                         testing::Combine(testing::ValuesIn(programs), testing::ValuesIn(allocators),
                                          testing::Values("auto", "protect")),
                         [](const auto& test) {
                             return std::string(std::get<0>(test.param).name) + "_on_" + std::get<1>(test.param).name +
                                    "_" + std::get<2>(test.param);
                         });

}  // namespace

}  // namespace unknot::preload
