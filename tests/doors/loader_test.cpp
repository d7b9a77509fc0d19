// SPDX-License-Identifier: Apache-2.0
// Every way in which ld.so brings the shim, the allocator and the program together.
#include <gtest/gtest.h>

#include "policy/stats_page.h"
#include "tests/doors/allocators.h"
#include "tests/process/child.h"
#include "tests/process/report_line.h"

namespace unknot::doors {

namespace {

using process::Command;
using process::describe;
using process::LogFolder;
using process::ReportLine;
using process::Result;
using process::run;

using Environment = std::vector<std::pair<std::string, std::string>>;

const std::string shim = library("libunknot.so");
const std::string plugin = library("loader_plugin.so");

Result run_victim(std::vector<std::string> argv, const std::string& preloaded, Environment more = {}) {
    argv[0] = library(argv[0]);
    more.emplace_back("LD_PRELOAD", preloaded);
    return run({std::move(argv), std::move(more)});
}

void expect_success(const Result& result) {
    EXPECT_TRUE(result.succeeded()) << describe(result) << '\n' << result.out << result.err;
}

std::size_t lines_of_the_shim(const std::string& text) {
    std::size_t lines = 0;
    for (std::size_t at = text.find("unknot["); at != std::string::npos; at = text.find("unknot[", at + 1)) ++lines;
    return lines;
}

std::string name_of(const testing::TestParamInfo<Allocator>& info) {
    return info.param.name;
}

class WithAllocator : public testing::TestWithParam<Allocator> {
  protected:
    void SetUp() override {
        if (!is_installed(GetParam())) GTEST_SKIP() << "this system has no " << GetParam();
    }
};

class Loading : public WithAllocator {};

TEST_P(Loading, a_plug_in_privately) {
    expect_success(run_victim({"loads", "private", plugin}, preload(GetParam()), {{"UNKNOT_MODE", "protect"}}));
}
TEST_P(Loading, a_plug_in_with_tls_descriptors) {
    const std::string descriptors = library("loader_plugin_tlsdesc.so");
    expect_success(run_victim({"loads", "private", descriptors}, preload(GetParam()), {{"UNKNOT_MODE", "protect"}}));
}
TEST_P(Loading, a_plug_in_bound_to_itself) {
    expect_success(run_victim({"loads", "deepbind", plugin}, preload(GetParam()), {{"UNKNOT_MODE", "protect"}}));
}

// Which of the two it is stands in the program: a test of the wrong one would prove nothing.
bool is_bound_at_start(const std::string& program) {
    const Result result = run({{"readelf", "--dynamic", library(program)}});
    EXPECT_TRUE(result.succeeded()) << result.err;
    return result.out.find("NOW") != std::string::npos;
}

void expect_first_calls_succeed(const std::string& program, const Allocator& allocator, const Environment& more) {
    for (const char* where : {"walk", "constructor"}) {
        Environment environment = more;
        environment.emplace_back("UNKNOT_MODE", "protect");
        expect_success(run_victim({program, where}, preload(allocator), environment));
    }
}

TEST_P(Loading, calls_bound_on_first_use) {
    ASSERT_FALSE(is_bound_at_start("first_calls_lazy"));
    expect_first_calls_succeed("first_calls_lazy", GetParam(), {});
}
TEST_P(Loading, everything_bound_at_start) {
    expect_first_calls_succeed("first_calls_lazy", GetParam(), {{"LD_BIND_NOW", "1"}});
}
TEST_P(Loading, a_program_that_wants_everything_bound_at_start) {
    ASSERT_TRUE(is_bound_at_start("first_calls_now"));
    expect_first_calls_succeed("first_calls_now", GetParam(), {});
}
TEST_P(Loading, a_program_that_allocates_before_every_constructor) {
    expect_success(run_victim({"early_calls"}, GetParam().library));
    expect_success(run_victim({"early_calls"}, preload(GetParam()), {{"UNKNOT_MODE", "protect"}}));
}

INSTANTIATE_TEST_SUITE_P(Allocators, Loading, testing::ValuesIn(allocators), name_of);

// With the bare allocator a namespace of its own works, or does not: the shim changes nothing about it.
class Namespace : public WithAllocator {};

TEST_P(Namespace, is_no_worse_than_with_the_bare_allocator) {
    const std::vector<std::string> victim{"loads", "namespace", plugin};
    const Result bare = run_victim(victim, GetParam().library);
    const Result with = run_victim(victim, preload(GetParam()), {{"UNKNOT_MODE", "protect"}});
    EXPECT_EQ(describe(with), describe(bare)) << with.out << with.err;
    EXPECT_EQ(with.out, bare.out);
}

// jemalloc's thread-local storage has no room beside an auditor.
TEST_P(Namespace, of_an_auditor_is_no_worse_either) {
    const std::pair<std::string, std::string> auditor{"LD_AUDIT", library("doors_audit.so")};
    const Result bare = run_victim({"probes"}, GetParam().library, {auditor});
    const Result with =
        run_victim({"every_door", "walk", "thread"}, preload(GetParam()), {auditor, {"UNKNOT_MODE", "protect"}});
    EXPECT_EQ(describe(with), describe(bare)) << with.out << with.err;
}

INSTANTIATE_TEST_SUITE_P(Allocators, Namespace, testing::ValuesIn(allocators), name_of);

class Probing : public WithAllocator {};

TEST_P(Probing, weak_vendor_symbols_gets_the_answer_of_the_bare_allocator) {
    const Result bare = run_victim({"probes"}, GetParam().library);
    expect_success(bare);
    EXPECT_EQ(run_victim({"probes"}, preload(GetParam())).out, bare.out);
    if (*GetParam().vendor == '\0') return;
    EXPECT_EQ(run_victim({"probes"}, preload_with_vendor(GetParam())).out, bare.out);
    // Or nothing could be told apart.
    EXPECT_NE(bare.out, run_victim({"probes"}, "").out);
}

INSTANTIATE_TEST_SUITE_P(Allocators, Probing, testing::ValuesIn(allocators), name_of);

TEST(VendorObject, without_its_vendor_says_so_and_the_program_runs) {
    const Result result = run_victim({"probes"}, shim + " " + library("libunknot_jemalloc.so") + " libtcmalloc.so.4");
    expect_success(result);
    EXPECT_EQ(lines_of_the_shim(result.err), 1u) << result.err;
    EXPECT_NE(result.err.find("libunknot_jemalloc.so is preloaded, but no object after it defines mallocx"),
              std::string::npos);
}

TEST(VendorObject, without_its_vendor_names_the_function_that_is_called_all_the_same) {
    const Result result =
        run_victim({"calls_mallocx"}, shim + " " + library("libunknot_jemalloc.so") + " libtcmalloc.so.4");
    EXPECT_EQ(describe(result), "killed by signal 6") << result.err;
    EXPECT_NE(result.err.find("mallocx was called, and the allocator has no such function"), std::string::npos)
        << result.err;
    expect_success(run_victim({"calls_mallocx"}, shim + " " + library("libunknot_jemalloc.so") + " libjemalloc.so.2"));
}

TEST(VendorObject, brings_the_shim_along_when_it_is_preloaded_alone) {
    const Result result = run_victim({"probes"}, library("libunknot_tcmalloc.so") + " libtcmalloc.so.4");
    expect_success(result);
    EXPECT_NE(result.err.find("wrong order"), std::string::npos) << result.err;
}

// A C program with a C++ library: the operators' stand-ins.
TEST(PrivateCxxLibrary, gets_its_own_bad_alloc) {
    const std::vector<std::string> victim{"private_cxx", library("private_cxx_library.so")};
    expect_success(run_victim(victim, shim));
    expect_success(run_victim(victim, shim, {{"UNKNOT_MODE", "protect"}}));
}

// Debian's build for arm64 takes its stack traces without the loader.
#if defined(__aarch64__)
constexpr const char* mode_for_tcmalloc = "pass_through";
#else
constexpr const char* mode_for_tcmalloc = "protect";
#endif

struct Linked {
    const char* victim;
    const char* allocator;
    const char* mode;
};

class LinkedAllocator : public testing::TestWithParam<Linked> {};

TEST_P(LinkedAllocator, is_the_real_allocator) {
    if (std::string_view(GetParam().allocator) == mimalloc.name && !is_installed(mimalloc)) {
        GTEST_SKIP() << "this system has no mimalloc";
    }
    const LogFolder log;
    const Result result = run_victim({GetParam().victim, "walk", "thread"}, shim,
                                     {{"UNKNOT_REPORT", "exit"}, {"UNKNOT_LOG", log.setting()}});
    expect_success(result);
    const auto report = ReportLine::find(log.text(result.pid), result.pid);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->word("allocator"), GetParam().allocator);
    EXPECT_EQ(report->word("mode"), GetParam().mode);
    EXPECT_EQ(report->number("flags"), 0u);
}

INSTANTIATE_TEST_SUITE_P(Libraries, LinkedAllocator,
                         testing::Values(Linked{"every_door_tcmalloc", "tcmalloc", mode_for_tcmalloc},
                                         Linked{"every_door_jemalloc", "jemalloc", "pass_through"},
                                         Linked{"every_door_mimalloc", "mimalloc", "pass_through"}),
                         [](const auto& linked) { return std::string(linked.param.allocator); });

void expect_it_stands_aside(const std::vector<std::string>& victim, const std::string& preloaded, StatsFlag flag,
                            const std::string& line) {
    const LogFolder log;
    const Result result = run_victim(
        victim, preloaded, {{"UNKNOT_MODE", "protect"}, {"UNKNOT_REPORT", "exit"}, {"UNKNOT_LOG", log.setting()}});
    expect_success(result);
    const std::string text = log.text(result.pid);
    EXPECT_NE(text.find(line), std::string::npos) << text;
    EXPECT_EQ(lines_of_the_shim(text), 2u) << "its one line and the report\n" << text;
    const auto report = ReportLine::find(text, result.pid);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->number("flags"), static_cast<unsigned>(flag));
    EXPECT_EQ(report->word("mode"), "walks");
    EXPECT_EQ(report->number("diverted"), 0u);
}

TEST(StaticAllocator, in_the_executable_is_noticed) {
    for (const char* victim : {"every_door_static_tcmalloc", "every_door_static_jemalloc"}) {
        expect_it_stands_aside({victim, "walk", "thread"}, shim, StatsFlag::not_on_path,
                               "not on the path: the executable defines malloc itself");
    }
}

class PreloadOrder : public WithAllocator {};

TEST_P(PreloadOrder, that_is_wrong_is_noticed) {
    const std::string library = GetParam().library;
    expect_it_stands_aside({"every_door", "walk", "thread"}, library + " " + shim, StatsFlag::wrong_order,
                           "wrong order: " + library);
}

INSTANTIATE_TEST_SUITE_P(Allocators, PreloadOrder,
                         testing::Values(tcmalloc, tcmalloc_minimal, tcmalloc_debug, jemalloc, mimalloc), name_of);

}  // namespace

}  // namespace unknot::doors
