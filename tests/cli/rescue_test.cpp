// SPDX-License-Identifier: Apache-2.0
// Processes that are dead, brought back: they go on, keep going on, and every block is as it was left.
#include <signal.h>
#include <unistd.h>

#include <fstream>

#include "cli/mend/rescue.h"
#include "tests/cli/dead_process.h"

namespace unknot::test {
namespace {

constexpr const char* rounds = "11";  // the one that hangs, and ten more

void expect_all_blocks_good(Victim& victim) {
    const process::Result result = victim.end();
    EXPECT_TRUE(result.succeeded()) << process::describe(result) << "\n" << result.out << result.err;
    EXPECT_NE(result.out.find("round " + std::string(rounds)), std::string::npos) << result.out;
    EXPECT_NE(result.out.find(", 0 bad"), std::string::npos) << result.out;
}

class EveryShape : public testing::TestWithParam<const char*> {};

TEST_P(EveryShape, is_rescued_and_does_not_hang_again) {
    Victim victim("cli_checked_deadlock", bare_tcmalloc, {GetParam(), rounds}, Ready::never, hung_for_a_while);
    ASSERT_TRUE(when_stuck(victim, victim.pid())) << "it ended instead of hanging";
    const process::Result dry = unknot({"rescue", "--dry-run", victim.id()});
    EXPECT_EQ(dry.code, 0) << dry.out << dry.err;
    EXPECT_NE(dry.out.find("would be sent back"), std::string::npos) << dry.out;
    EXPECT_TRUE(cli::examine_process(victim.pid()).deadlock.seen) << "a dry run has changed something";

    const process::Result rescue = unknot({"rescue", victim.id()});
    EXPECT_EQ(rescue.code, 0) << rescue.out << rescue.err;
    EXPECT_NE(rescue.out.find("was sent back"), std::string::npos) << rescue.out;
    expect_all_blocks_good(victim);
}

// From gperftools 2.11 on the other shapes hang by luck or not at all.
INSTANTIATE_TEST_SUITE_P(Rescue, EveryShape,
                         process::traces_outside_page_heap_lock
                             ? testing::Values("grow", "lock3", "grow", "lock3", "grow", "lock3", "grow")
                             : testing::Values("malloc", "calloc", "realloc", "free", "new", "grow", "lock3"));

// The last frame before jemalloc's is libunwind's _Unwind_Backtrace, and what is cut is jemalloc's import of it.
TEST(Rescue, brings_back_what_jemalloc_s_profiler_has_hung) {
    const Variables profiling = {{"LD_PRELOAD", "libjemalloc.so.2 libunwind.so.8"},
                                 {"MALLOC_CONF", "prof:true,lg_prof_sample:12"}};
    Victim victim("cli_checked_deadlock", profiling, {"malloc", rounds}, Ready::never, hung_for_a_while);
    ASSERT_TRUE(when_stuck(victim, victim.pid())) << "it ended instead of hanging";
    const process::Result rescue = unknot({"rescue", victim.id()});
    EXPECT_EQ(rescue.code, 0) << rescue.out << rescue.err;
    expect_all_blocks_good(victim);
}

// What the cure is for: without it the next walk would hang the process again.
TEST(Rescue, without_its_cure_lasts_until_the_next_walk) {
    Victim victim("cli_checked_deadlock", bare_tcmalloc, {process::certain_shape, rounds}, Ready::never,
                  hung_for_a_while);
    const auto found = when_stuck(victim, victim.pid());
    ASSERT_TRUE(found) << "it ended instead of hanging";
    const cli::Process process(victim.pid());
    const auto mappings = process.mappings();
    const auto objects = cli::objects_of(process, mappings);
    const auto waiting = cli::waiters_of(found->deadlock);
    ASSERT_EQ(waiting.size(), 1u);
    const auto sent = cli::send_back(process, objects, found->allocator.object_start, waiting[0]->state);
    EXPECT_EQ(sent.refusal, Refusal::none);
    EXPECT_GE(sent.times, 1);
    EXPECT_TRUE(when_stuck(victim, victim.pid())) << "it ended instead of hanging again";
    EXPECT_EQ(unknot({"rescue", victim.id()}).code, 0);
    expect_all_blocks_good(victim);
}

TEST(Rescue, gives_a_child_the_lock_whose_owner_stayed_in_the_parent) {
    Victim victim(built("victims/fork_during_walk"), {}, {}, Ready::never, hung_for_a_while);
    pid_t last = 0;
    for (int child = 1; child <= 10; ++child) {
        pid_t pid = 0;
        ASSERT_TRUE(victim.until([&] { return (pid = child_of(victim)) != 0 && pid != last; })) << victim.out();
        ASSERT_TRUE(when_stuck(victim, pid)) << "child " << child << " ended instead of hanging";
        const process::Result rescue = unknot({"rescue", std::to_string(last = pid)});
        EXPECT_EQ(rescue.code, 0) << rescue.out << rescue.err;
        EXPECT_NE(rescue.out.find("was given back"), std::string::npos) << rescue.out;
    }
    const process::Result result = victim.end();
    EXPECT_TRUE(result.succeeded()) << process::describe(result) << "\n" << result.out << result.err;
}

// From the host: its ids mean something else inside, and so do its paths.
TEST(Rescue, works_from_outside_on_a_container) {
    if (geteuid() != 0) GTEST_SKIP() << "namespaces of process ids and mounts need root";
    const Folder folder;
    // The program's name is found in the container alone: in the root that it sees, the folder is another one.
    const std::string script = "mount -t tmpfs none " + (folder / "") + " && cp " + built("cli_checked_deadlock") +
                               " " + (folder / "inside") +
                               " && mount -t proc proc /proc && LD_PRELOAD=libtcmalloc.so.4 exec " +
                               (folder / "inside") + " " + process::certain_shape + " " + rounds;
    Victim victim("/usr/bin/unshare", {{"TCMALLOC_STACKTRACE_METHOD", ""}},
                  {"--pid", "--mount", "--fork", "/bin/sh", "-c", script}, Ready::never, hung_for_a_while);
    const pid_t inside = child_of(victim);
    ASSERT_TRUE(when_stuck(victim, inside)) << "it ended instead of hanging";
    ASSERT_NE(cli::Process(inside).inner_pid(), inside);
    EXPECT_FALSE(std::ifstream(folder / "inside").good()) << "its path means the same here: nothing would be shown";
    const process::Result rescue = unknot({"rescue", std::to_string(inside)});
    EXPECT_EQ(rescue.code, 0) << rescue.out << rescue.err;
    expect_all_blocks_good(victim);
}

#if defined(UNKNOT_HAS_JAVA)
TEST(Rescue, brings_a_jvm_back_that_an_agent_has_hung) {
    Victim victim("/usr/bin/env", bare_tcmalloc,
                  {"java", "-XX:-UsePerfData", "-XX:-CreateCoredumpOnCrash", "-XX:ErrorFile=/dev/null",
                   "-Djdk.attach.allowAttachSelf=true", "-cp", built(""), "NativeGrowth", built("libsymbol_agent.so")},
                  Ready::says_so, hung_for_a_while);
    ASSERT_TRUE(when_stuck(victim, victim.pid())) << "it ended instead of hanging";
    const process::Result rescue = unknot({"rescue", victim.id()});
    EXPECT_EQ(rescue.code, 0) << rescue.out << rescue.err;
    const process::Result result = victim.end();
    EXPECT_TRUE(result.succeeded()) << process::describe(result) << "\n" << result.out << result.err;
    EXPECT_NE(result.out.find("agent: round 10 of 10"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("java: done"), std::string::npos) << result.out;
    unlink(("/tmp/.java_pid" + victim.id()).c_str());
}
#endif

}  // namespace
}  // namespace unknot::test
