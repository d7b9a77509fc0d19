// SPDX-License-Identifier: Apache-2.0
// Forks, of every kind, beside a thread that is inside the loader; the child works.
//   fork_beside WORK KIND CHILDS_WORK [FORKS]    KIND: fork, _Fork, clone, vfork, spawn, system, daemon
#include <sched.h>
#include <spawn.h>
#include <sys/syscall.h>

#include <csignal>

#include "tests/differential/stage.h"

namespace {

const char* childs_work;

[[noreturn]] void be_the_child() {
    for (int i = 0; i < 3; ++i) stage::work(childs_work);
    _exit(0);
}

pid_t start_a_child(std::string_view kind) {
    static char program[] = "/bin/true";
    static char* arguments[] = {program, nullptr};
    static char* no_environment[] = {nullptr};
    pid_t child = -1;
    if (kind == "fork") {
        child = fork();
        if (child == 0) be_the_child();
    } else if (kind == "_Fork") {
        child = _Fork();
        if (child == 0) be_the_child();
    } else if (kind == "clone") {
        child = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
        if (child == 0) be_the_child();
    } else if (kind == "vfork") {
        child = vfork();
        if (child == 0) {
            execve(program, arguments, no_environment);
            _exit(1);
        }
    } else if (kind == "spawn") {
        stage::expect(posix_spawn(&child, program, nullptr, nullptr, arguments, no_environment) == 0, "it is spawned");
    } else if (kind == "daemon") {
        // Its parent ends inside daemon(): one more fork around it, and a pipe to hear from the grandchild.
        int ends[2];
        stage::expect(pipe(ends) == 0, "there is a pipe");
        child = fork();
        if (child == 0) {
            if (daemon(1, 1) != 0) _exit(1);
            // Whoever watches this test does not find a daemon: one that hangs, as it does bare, ends itself.
            alarm(20);
            for (int i = 0; i < 3; ++i) stage::work(childs_work);
            _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
        }
        close(ends[1]);
        char answer = 0;
        stage::expect(read(ends[0], &answer, 1) == 1, "the daemon works");
        close(ends[0]);
    }
    return child;
}

}  // namespace

int main(int argc, char** argv) {
    stage::warm_up();
    const std::string_view beside = argv[1];
    const std::string_view kind = argv[2];
    childs_work = argv[3];
    const int forks = argc > 4 ? std::atoi(argv[4]) : 100;
    {
        const stage::Bystander works([beside] { stage::work(beside); });
        for (int i = 0; i < forks; ++i) {
            if (kind == "system") {
                stage::expect(std::system(":") == 0, "the shell starts");
            } else {
                stage::expect_to_end_well(start_a_child(kind));
            }
            ++stage::steps();
        }
    }
    std::puts("forked");
    return 0;
}
