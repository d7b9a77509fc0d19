// SPDX-License-Identifier: Apache-2.0
// What is refused, on real processes: each is left as it was.
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "cli/mend/foreign_memory.h"
#include "cli/mend/held_thread.h"
#include "cli/mend/rescue.h"
#include "cli/read/trouble.h"
#include "tests/cli/dead_process.h"

namespace unknot::test {
namespace {

void expect_refused(const std::string& id, const std::string& because) {
    const process::Result result = unknot({"rescue", id});
    EXPECT_EQ(result.code, 2) << result.out << result.err;
    EXPECT_NE((result.out + result.err).find(because), std::string::npos) << result.out << result.err;
}

// Dead, and given to the tests with all that a rescue knows.
class Dead : public testing::Test {
  protected:
    void SetUp() override {
        const auto found = when_stuck(victim_, victim_.pid());
        ASSERT_TRUE(found) << "it ended instead of hanging";
        found_ = *found;
        const auto waiting = cli::waiters_of(found_.deadlock);
        ASSERT_EQ(waiting.size(), 1u);
        waiter_ = waiting[0]->state;
    }
    cli::SentBack send(const cli::ThreadState& judged, std::uint64_t allocator) const {
        return cli::send_back(process_, objects_, allocator, judged);
    }
    void expect_as_dead_as_before() {
        const auto now = when_stuck(victim_, victim_.pid());
        ASSERT_TRUE(now) << "it has ended";
        EXPECT_EQ(now->cure.now, found_.cure.now);
        EXPECT_EQ(unknot({"rescue", victim_.id()}).code, 0) << "and it can still be rescued";
    }

    Victim victim_{"cli_checked_deadlock", bare_tcmalloc, {process::certain_shape, "1000"}, Ready::says_so};
    cli::Process process_{victim_.pid()};
    cli::Objects objects_ = cli::objects_of(process_, process_.mappings());
    cli::Examination found_;
    cli::ThreadState waiter_;
};

TEST_F(Dead, is_left_to_another_tracer) {
    ASSERT_EQ(ptrace(PTRACE_SEIZE, waiter_.tid, nullptr, nullptr), 0);
    expect_refused(victim_.id(), "another program traces it");
    EXPECT_EQ(unknot({"immunise", victim_.id()}).code, 2);
    // Only a thread that stands can be let go.
    ptrace(PTRACE_INTERRUPT, waiter_.tid, nullptr, nullptr);
    waitpid(waiter_.tid, nullptr, __WALL);
    ASSERT_EQ(ptrace(PTRACE_DETACH, waiter_.tid, nullptr, nullptr), 0);
    expect_as_dead_as_before();
}

TEST_F(Dead, is_left_alone_while_it_is_stopped) {
    kill(victim_.pid(), SIGSTOP);
    ASSERT_TRUE(victim_.until([&] { return process_.thread(waiter_.tid)->state == 'T'; }));
    expect_refused(victim_.id(), "SIGCONT");
    kill(victim_.pid(), SIGCONT);
    ASSERT_TRUE(victim_.until([&] { return process_.thread(waiter_.tid)->state == 'S'; }));
    expect_as_dead_as_before();
}

TEST_F(Dead, has_a_thread_that_is_not_touched_unless_it_sleeps_as_it_was_judged) {
    cli::ThreadState other = waiter_;
    other.stack_pointer += 8;
    EXPECT_EQ(send(other, found_.allocator.object_start).refusal, Refusal::awake);
    other = waiter_;
    other.argument[0] += 4;
    EXPECT_EQ(send(other, found_.allocator.object_start).refusal, Refusal::awake);
    expect_as_dead_as_before();
}

TEST_F(Dead, has_a_walk_that_is_not_touched_unless_the_allocator_made_it) {
    EXPECT_EQ(send(waiter_, 0).refusal, Refusal::walk_not_listed);
    // The thread that walks for itself, and is in its own callback, waits for something else altogether.
    for (const cli::CycleStep& step : found_.deadlock.cycle) {
        if (step.callback.empty()) continue;
        const auto walker = process_.thread(step.tid);
        ASSERT_TRUE(walker);
        if (!walker->in_syscall) continue;
        EXPECT_NE(send(*walker, found_.allocator.object_start).refusal, Refusal::none);
    }
    expect_as_dead_as_before();
}

TEST_F(Dead, is_not_written_to_where_it_has_changed) {
    cli::ForeignMemory memory(process_);
    const std::uint64_t wrong = found_.cure.now + 1;
    EXPECT_THROW(memory.replace(found_.cure.address, &wrong, &found_.cure.cured, sizeof wrong), cli::Trouble);
    EXPECT_THROW(memory.replace(8, &wrong, &found_.cure.cured, sizeof wrong), cli::Trouble);
    expect_as_dead_as_before();
}

TEST_F(Dead, is_as_it_was_where_it_was_only_held) {
    for (int i = 0; i < 20; ++i) {
        // Let go, it begins its sleep anew, and has to be given the time for it.
        ASSERT_TRUE(victim_.until([&] { return process_.thread(waiter_.tid)->in_syscall; }));
        cli::HeldThread thread(process_, waiter_.tid);
        EXPECT_EQ(thread.wait(), cli::wait_of(waiter_));
        EXPECT_EQ(thread.result(), broken_sleep);
    }
    expect_as_dead_as_before();
}

TEST_F(Dead, is_refused_without_permission) {
    if (geteuid() != 0) GTEST_SKIP() << "becoming another user needs root";
    for (const char* command : {"rescue", "immunise"}) {
        const process::Result result = process::run({{"/usr/bin/setpriv", "--reuid=65534", "--regid=65534",
                                                      "--clear-groups", built("unknot"), command, victim_.id()},
                                                     {}},
                                                    {});
        EXPECT_EQ(result.code, 2) << result.out << result.err;
        EXPECT_NE(result.err.find("CAP_SYS_PTRACE"), std::string::npos) << result.out << result.err;
    }
    expect_as_dead_as_before();
}

// The process that was judged has ended, and its id is another's: nothing lands there.
TEST(Rescue, does_not_follow_an_id_to_another_process) {
    if (geteuid() != 0) GTEST_SKIP() << "choosing the next process id needs root";
    const pid_t first = fork();
    if (first == 0) {
        pause();
        _exit(0);
    }
    const cli::Process process(first);
    kill(first, SIGKILL);
    waitpid(first, nullptr, 0);
    pid_t second = 0;
    for (int attempt = 0; attempt < 100 && second != first; ++attempt) {
        if (second > 0) kill(second, SIGKILL), waitpid(second, nullptr, 0);
        std::ofstream("/proc/sys/kernel/ns_last_pid") << first - 1;
        second = fork();
        if (second == 0) {
            pause();
            _exit(0);
        }
    }
    ASSERT_EQ(second, first) << "other processes were faster every time";
    EXPECT_THROW(cli::ForeignMemory memory(process), cli::ProcessGone);
    EXPECT_THROW(cli::HeldThread thread(process, first), cli::ProcessGone);
    EXPECT_FALSE(process.still_the_same());
    EXPECT_TRUE(cli::Process(second).thread(second)->state != 't') << "it was let go";
    kill(second, SIGKILL);
    waitpid(second, nullptr, 0);
}

TEST(Rescue, has_nothing_to_do_for_the_living) {
    Victim busy("phdr_deadlock", {{"LD_PRELOAD", "libtcmalloc_minimal.so.4"}}, {"malloc", "100000000"});
    const process::Result result = unknot({"rescue", busy.id()});
    EXPECT_EQ(result.code, 1) << result.out << result.err;
    EXPECT_NE(result.out.find("nothing to do"), std::string::npos) << result.out;
}

TEST(Rescue, refuses_ids_that_are_no_process) {
    expect_refused("4194303", "there is no process 4194303");
    expect_refused("0", "PID");
    expect_refused("seven", "PID");
}

TEST(Rescue, refuses_a_cycle_of_loader_locks_alone) {
    Victim victim(built("incidents/looks_up_address_in_walk"), bare_tcmalloc, {}, Ready::never);
    ASSERT_TRUE(when_stuck(victim, victim.pid()));
    expect_refused(victim.id(), "loader locks alone");
}

TEST(Rescue, refuses_a_walk_that_a_signal_interrupted) {
    Victim victim(built("incidents/sampled_in_walk"), {}, {}, Ready::never);
    ASSERT_TRUE(when_stuck(victim, victim.pid()));
    expect_refused(victim.id(), "a signal interrupted");
}

// The shim's own dl_iterate_phdr stands between libc's and the unwinder, and keeps marks of its own.
TEST(Rescue, refuses_a_walk_that_goes_through_the_shim) {
    Variables variables = bare_tcmalloc;
    variables[0].second = built("libunknot.so") + ":libtcmalloc.so.4";
    variables.emplace_back("UNKNOT_MODE", "observe");
    Victim victim("phdr_deadlock", variables, {process::certain_shape, "1000000"}, Ready::never);
    ASSERT_TRUE(when_stuck(victim, victim.pid()));
    expect_refused(victim.id(), "not one that an unwinder makes");
}

}  // namespace
}  // namespace unknot::test
