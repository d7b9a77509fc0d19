// SPDX-License-Identifier: Apache-2.0
// One word written into a process that runs: what would have hung does not, and what was there comes back.
#include <signal.h>

#include "cli/judge/cure.h"
#include "tests/cli/dead_process.h"
#include "tests/cli/libunwind.h"

namespace unknot::test {
namespace {

using Arguments = std::vector<std::string>;
const Arguments waiting = {process::certain_shape, "3", "wait"};
const Variables profiling_jemalloc = {{"LD_PRELOAD", "libjemalloc.so.2 libunwind.so.8"},
                                      {"MALLOC_CONF", "prof:true,lg_prof_sample:12"}};

std::uint64_t word_of(const Victim& victim) {
    return cli::examine_process(victim.pid()).cure.now;
}

void expect_it_runs(Victim& victim) {
    kill(victim.pid(), SIGUSR1);
    const process::Result result = victim.end();
    EXPECT_TRUE(result.succeeded()) << process::describe(result) << "\n" << result.out << result.err;
    EXPECT_NE(result.out.find(", 0 bad"), std::string::npos) << result.out;
}

void expect_it_hangs(Victim& victim) {
    kill(victim.pid(), SIGUSR1);
    EXPECT_TRUE(when_stuck(victim, victim.pid())) << "without the cure it has to hang: " << victim.out();
}

class Immunise : public testing::TestWithParam<const Variables*> {
  protected:
    void SetUp() override {
        if (GetParam() == &profiling_jemalloc && process::libgcc_takes_no_lock && !libunwind_is_taken_for_libgcc())
            GTEST_SKIP() << "this libunwind is no danger to jemalloc's profiler";
    }
    Victim victim_{"cli_checked_deadlock", *GetParam(), waiting, Ready::says_so, hung_for_a_while};
};

TEST_P(Immunise, is_needed) {
    expect_it_hangs(victim_);
}

TEST_P(Immunise, keeps_a_process_at_risk_from_hanging) {
    EXPECT_EQ(unknot({"doctor", victim_.id()}).code, 1);
    const process::Result result = unknot({"immunise", victim_.id()});
    EXPECT_EQ(result.code, 0) << result.out << result.err;
    EXPECT_NE(result.out.find("lost: "), std::string::npos) << result.out;
    EXPECT_EQ(unknot({"doctor", victim_.id()}).code, 0) << "the doctor sees the cure";
    expect_it_runs(victim_);
}

TEST_P(Immunise, dry_writes_nothing) {
    const std::uint64_t before = word_of(victim_);
    const process::Result result = unknot({"immunize", "--dry-run", victim_.id()});
    EXPECT_EQ(result.code, 0) << result.out << result.err;
    EXPECT_NE(result.out.find("would be"), std::string::npos) << result.out;
    EXPECT_EQ(word_of(victim_), before);
}

TEST_P(Immunise, twice_is_once) {
    EXPECT_EQ(unknot({"immunise", victim_.id()}).code, 0);
    const std::uint64_t cured = word_of(victim_);
    const process::Result again = unknot({"immunise", victim_.id()});
    EXPECT_EQ(again.code, 1) << again.out << again.err;
    EXPECT_NE(again.out.find("already"), std::string::npos) << again.out;
    EXPECT_EQ(word_of(victim_), cured);
}

TEST_P(Immunise, undone_leaves_what_the_process_itself_would_have) {
    EXPECT_EQ(unknot({"immunise", "--undo", victim_.id()}).code, 1) << "there is nothing to undo yet";
    const std::uint64_t before = word_of(victim_);
    EXPECT_EQ(unknot({"immunise", victim_.id()}).code, 0);
    EXPECT_NE(word_of(victim_), before);
    EXPECT_EQ(unknot({"immunise", "--undo", "--dry-run", victim_.id()}).code, 0);
    EXPECT_NE(word_of(victim_), before);
    const process::Result undone = unknot({"immunise", "--undo", victim_.id()});
    EXPECT_EQ(undone.code, 0) << undone.out << undone.err;
    EXPECT_EQ(word_of(victim_), before);
    expect_it_hangs(victim_);
}

INSTANTIATE_TEST_SUITE_P(Cli, Immunise, testing::Values(&bare_tcmalloc, &profiling_jemalloc),
                         [](const auto& allocator) {
                             return allocator.index == 0 ? "tcmalloc" : "profiling_jemalloc";
                         });

// Both writes work on the same gperftools; which one is taken is a matter of facts (2.8 has no generic_fp).
TEST(Cure, is_the_method_where_the_build_has_it_and_the_import_elsewhere) {
    Victim victim("cli_checked_deadlock", bare_tcmalloc, waiting);
    const auto found = cli::examine_process(victim.pid());
    EXPECT_EQ(found.cure.kind, process::tcmalloc_has_generic_fp ? cli::CureKind::method_table : cli::CureKind::import);
    const cli::Process process(victim.pid());
    const auto objects = cli::objects_of(process, process.mappings());
    const auto* allocator = objects.first_exporting("tc_malloc");
    ASSERT_NE(allocator, nullptr);
    const auto import = cli::unwinder_import(*allocator, found.allocator.uncut_method);
    EXPECT_FALSE(import.symbol.empty());
    EXPECT_NE(cli::returns_zero(process, objects), 0u);
}

TEST(Immunise, has_nothing_to_do_where_nothing_unwinds) {
    Victim victim("cli_idle");
    const process::Result result = unknot({"immunise", victim.id()});
    EXPECT_EQ(result.code, 1) << result.out << result.err;
    EXPECT_NE(result.out.find("nothing to do"), std::string::npos) << result.out;
}

TEST(Immunise, refuses_what_it_knows_no_way_for) {
    Victim victim("cli_own_malloc");
    const process::Result result = unknot({"immunise", victim.id()});
    EXPECT_EQ(result.code, 2) << result.out << result.err;
    EXPECT_NE(result.out.find("refused: "), std::string::npos) << result.out;
}

TEST(Immunise, goes_through_all_processes_and_answers_for_the_worst) {
    Victim idle("cli_idle"), other("cli_checked_deadlock", bare_tcmalloc, waiting);
    const process::Result result = unknot({"immunise", idle.id(), "4194303", other.id()});
    EXPECT_EQ(result.code, 2) << result.out << result.err;
    EXPECT_NE(result.err.find("4194303"), std::string::npos) << result.err;
    EXPECT_EQ(unknot({"doctor", other.id()}).code, 0) << "the last one was made immune";
}

}  // namespace
}  // namespace unknot::test
