// SPDX-License-Identifier: Apache-2.0
// Says the id of a child that has ended, and never collects it.
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    siginfo_t about;
    if (child < 0 || waitid(P_PID, (id_t)child, &about, WEXITED | WNOWAIT) != 0) return 1;
    printf("%d\n", (int)child);
    fflush(stdout);
    for (;;) pause();
}
