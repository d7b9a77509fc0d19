// SPDX-License-Identifier: Apache-2.0
// The watcher must be right both ways: what hangs is called hung, what is only slow is not.
#include "tests/process/child.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <cerrno>

#include "tests/process/report_line.h"

namespace unknot::process {

namespace {

const std::string two_mutexes = UNKNOT_BINARY_DIR "/two_mutexes";
const std::string slow = UNKNOT_BINARY_DIR "/slow";

// Short, so that each kind of slowness outlasts it.
constexpr Watch impatient{.quiet = std::chrono::seconds(1)};

TEST(Child, that_hangs_is_called_hung) {
    const Result result = run({{two_mutexes}});
    EXPECT_EQ(result.outcome, Outcome::hung) << describe(result);
    EXPECT_EQ(result.out, "started\n");
}

TEST(Child, that_hangs_is_ended_and_reaped) {
    const Result result = run({{two_mutexes}}, impatient);
    ASSERT_EQ(result.outcome, Outcome::hung);
    EXPECT_EQ(kill(result.pid, 0), -1);
    EXPECT_EQ(errno, ESRCH);
}

TEST(Child, that_computes_in_silence_is_not_hung) {
    EXPECT_TRUE(run({{slow, "busy", "2500"}}, impatient).succeeded());
}

TEST(Child, whose_child_computes_is_not_hung) {
    EXPECT_TRUE(run({{slow, "child", "2500"}}, impatient).succeeded());
}

TEST(Child, that_naps_is_not_hung) {
    EXPECT_TRUE(run({{slow, "nap", "500"}}).succeeded());
}

TEST(Child, that_talks_now_and_then_is_not_hung) {
    const Result result = run({{slow, "talk", "5", "400"}}, impatient);
    EXPECT_TRUE(result.succeeded()) << describe(result);
    EXPECT_EQ(result.out, "line 0\nline 1\nline 2\nline 3\nline 4\n");
}

TEST(Child, that_works_beyond_the_limit_is_overdue_not_hung) {
    const Result result = run({{slow, "busy", "60000"}}, {.limit = std::chrono::seconds(1)});
    EXPECT_EQ(result.outcome, Outcome::overdue) << describe(result);
}

TEST(Child, gives_its_exit_status_and_output) {
    const Result result = run({{"sh", "-c", "echo out; echo err >&2; exit 7"}});
    EXPECT_EQ(describe(result), "exited 7");
    EXPECT_EQ(result.out, "out\n");
    EXPECT_EQ(result.err, "err\n");
}

TEST(Child, gives_the_signal_that_ended_it) {
    EXPECT_EQ(describe(run({{"sh", "-c", "kill -SEGV $$"}})), "killed by signal 11");
}

TEST(Child, that_cannot_be_started_says_why) {
    const Result result = run({{"/no/such/program"}});
    EXPECT_EQ(describe(result), "exited 127");
    EXPECT_EQ(result.err, "cannot start /no/such/program: No such file or directory\n");
}

TEST(Child, sees_the_environment_it_was_given) {
    const Command command{{"sh", "-c", "echo $GIVEN ${HOME-unset}"}, {{"GIVEN", "value"}, {"HOME", ""}}};
    EXPECT_EQ(run(command).out, "value unset\n");
}

TEST(Child, is_ended_with_what_it_started) {
    pid_t grandchild = 0;
    {
        Child child({{"sh", "-c", "sleep 1000 & echo $!; wait"}});
        while (child.out().empty()) ASSERT_FALSE(child.look(std::chrono::milliseconds(10)));
        grandchild = static_cast<pid_t>(std::stol(child.out()));
    }
    // Whoever adopted it may not have reaped it yet: a zombie is as dead. One that runs is on its way out, since by
    // itself it would sleep.
    std::string state = "R\n";
    while (state == "R\n") {
        state = run({{"sh", "-c", "cut -d' ' -f3 /proc/" + std::to_string(grandchild) + "/stat 2>/dev/null || echo Z"}})
                    .out;
    }
    EXPECT_TRUE(state == "Z\n" || state == "X\n") << state;
}

TEST(ReportLine, is_found_by_process_and_read_by_key) {
    const std::string log =
        "unknot[7]: warning\nunknot[7]: report mode=protect diverted=34\nunknot[8]: report diverted=1\n";
    const auto report = ReportLine::find(log, 7);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->word("mode"), "protect");
    EXPECT_EQ(report->number("diverted"), 34u);
    EXPECT_THROW(report->number("mode"), std::out_of_range);
    EXPECT_THROW(report->word("absent"), std::out_of_range);
    EXPECT_FALSE(ReportLine::find(log, 9));
}

}  // namespace

}  // namespace unknot::process
