// SPDX-License-Identifier: Apache-2.0
// A rescue that is killed in the middle leaves the process no worse than it was. The steps are the command's own calls
// of ptrace and its writes to /proc/PID/mem, counted by tracing the command: it dies before the first one, before the
// second, and so on, until one comes through.
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cli/dead_process.h"

#if defined(__x86_64__)

namespace unknot::test {
namespace {

struct Killed {
    bool killed = false;  // false: it came through
    int code = -1;
    int steps = 0;
};

bool is_step(const user_regs_struct& registers) {
    return registers.orig_rax == SYS_ptrace || registers.orig_rax == SYS_pwrite64;
}

// Runs `unknot rescue ID` and kills it where it is about to make its step number `last` (from 1).
Killed rescue_until(const std::string& id, int last) {
    const std::string command = built("unknot");
    const pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        if (!freopen("/dev/null", "w", stdout)) _exit(127);
        execl(command.c_str(), command.c_str(), "rescue", id.c_str(), nullptr);
        _exit(127);
    }
    int status = 0, steps = 0;
    bool entering = true;
    waitpid(child, &status, 0);
    ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    for (int signal = 0;;) {
        ptrace(PTRACE_SYSCALL, child, nullptr, signal);
        waitpid(child, &status, 0);
        if (!WIFSTOPPED(status)) return {WIFSIGNALED(status), WIFEXITED(status) ? WEXITSTATUS(status) : -1, steps};
        signal = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
        if (signal != 0) continue;
        user_regs_struct registers{};
        ptrace(PTRACE_GETREGS, child, nullptr, &registers);
        if (entering && is_step(registers) && ++steps == last) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return {true, -1, steps};
        }
        entering = !entering;
    }
}

// A thread that the killed rescue had held is let go by the kernel, maybe while it is looked at: it has moved then, and
// is as dead as before.
bool is_dead(pid_t pid) {
    constexpr int looks = 3;
    for (int look = 0; look < looks && kill(pid, 0) == 0; ++look)
        if (unknot({"doctor", std::to_string(pid)}).code == 3) return true;
    return false;
}

// Each process is used until it moves; what moves went on well, and the next one is killed a step later.
void expect_no_worse(const std::function<std::unique_ptr<Victim>()>& start, const std::function<pid_t(Victim&)>& id_of,
                     int least_steps) {
    int step = 1;
    bool through = false;
    while (!through) {
        const auto victim = start();
        bool dead = when_stuck(*victim, id_of(*victim)).has_value();
        ASSERT_TRUE(dead) << "it ended instead of hanging";
        const pid_t pid = id_of(*victim);
        while (dead && !through) {
            const Killed end = rescue_until(std::to_string(pid), step);
            through = !end.killed;
            EXPECT_TRUE(!through || end.code == 0) << "exit code " << end.code << " after " << step << " steps";
            ++step;
            dead = !through && is_dead(pid);
        }
        const process::Result result = victim->end();
        EXPECT_TRUE(result.succeeded()) << "killed before step " << step - 1 << ": " << process::describe(result)
                                        << "\n"
                                        << result.out << result.err;
    }
    EXPECT_GT(step, least_steps) << "the steps were not seen";
}

TEST(KilledRescue, leaves_a_deadlock_no_worse) {
    expect_no_worse(
        [] {
            return std::make_unique<Victim>("cli_checked_deadlock", bare_tcmalloc,
                                            std::vector<std::string>{process::certain_shape, "3"}, Ready::never,
                                            hung_for_a_while);
        },
        [](Victim& victim) { return victim.pid(); }, 6);
}

// Not one of them for a process that lives: it is read, and nothing else.
TEST(KilledRescue, has_no_step_where_nothing_hangs) {
    Victim busy("phdr_deadlock", {{"LD_PRELOAD", "libtcmalloc_minimal.so.4"}}, {"malloc", "100000000"});
    const Killed busy_end = rescue_until(busy.id(), 1);
    EXPECT_FALSE(busy_end.killed);
    EXPECT_EQ(busy_end.code, 1);
    // At risk, and nobody has met anybody yet.
    Victim at_risk("cli_checked_deadlock", bare_tcmalloc, {process::certain_shape, "1", "wait"});
    const Killed end = rescue_until(at_risk.id(), 1);
    EXPECT_FALSE(end.killed);
    EXPECT_EQ(end.code, 1);
}

// Its steps: the child's only thread held, the lock given back, the thread let go.
TEST(KilledRescue, leaves_a_forked_child_no_worse) {
    Victim victim(built("victims/fork_during_walk"), {}, {}, Ready::never, hung_for_a_while);
    pid_t last = 0;
    int step = 1;
    // Ten children: each is killed at until it moves, and the next one begins where the last one went on.
    for (int child = 1; child <= 10; ++child) {
        pid_t pid = 0;
        ASSERT_TRUE(victim.until([&] { return (pid = child_of(victim)) != 0 && pid != last; })) << victim.out();
        ASSERT_TRUE(when_stuck(victim, pid)) << "child " << child << " ended instead of hanging";
        last = pid;
        const std::string id = std::to_string(pid);
        for (bool dead = true; dead;) {
            const bool killed = rescue_until(id, step).killed;
            step = killed ? step + 1 : 1;
            dead = killed && is_dead(pid);
        }
    }
    const process::Result result = victim.end();
    EXPECT_TRUE(result.succeeded()) << process::describe(result) << "\n" << result.out << result.err;
}

}  // namespace
}  // namespace unknot::test

#endif
