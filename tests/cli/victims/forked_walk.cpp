// SPDX-License-Identifier: Apache-2.0
// Forks while another thread is in a dl_iterate_phdr callback. The child inherits a write lock whose owner does not
// exist there, and hangs in its own first walk. Prints the child's process id.
#include <link.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <thread>

namespace {

int inside[2];
int leave[2];

int stay(dl_phdr_info*, std::size_t, void*) {
    char byte = 0;
    if (write(inside[1], &byte, 1) != 1) return 1;
    return read(leave[0], &byte, 1) == 1 ? 1 : 2;
}

int stop_at_once(dl_phdr_info*, std::size_t, void*) {
    return 1;
}

}  // namespace

int main() {
    if (pipe(inside) != 0 || pipe(leave) != 0) return 1;
    std::thread walker([] { dl_iterate_phdr(stay, nullptr); });
    char byte = 0;
    if (read(inside[0], &byte, 1) != 1) return 1;
    const pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dl_iterate_phdr(stop_at_once, nullptr);
        _exit(0);
    }
    if (write(leave[1], &byte, 1) != 1) return 1;
    walker.join();
    std::printf("%d\n", child);
    std::fflush(stdout);
    waitpid(child, nullptr, 0);
}
