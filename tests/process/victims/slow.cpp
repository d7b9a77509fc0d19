// SPDX-License-Identifier: Apache-2.0
// Does not hang, in four ways that look like it for a while:
//   slow busy MS     computes for MS of CPU time without a word
//   slow nap MS      sleeps once for MS, far less than a watcher's patience
//   slow talk N MS   sleeps N times for MS, with a line of output after each
//   slow child MS    sleeps while a child of its own computes
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <thread>

namespace {

void compute(long ms) {
    while (std::clock() * 1000 / CLOCKS_PER_SEC < ms) {
    }
}

void nap(long ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    const std::string_view way = argv[1];
    const long amount = std::atol(argv[2]);
    if (way == "busy") compute(amount);
    if (way == "nap") nap(amount);
    if (way == "talk" && argc == 4) {
        for (long line = 0; line < amount; ++line) {
            nap(std::atol(argv[3]));
            dprintf(STDOUT_FILENO, "line %ld\n", line);
        }
    }
    if (way == "child") {
        if (fork() == 0) {
            compute(amount);
            _exit(0);
        }
        wait(nullptr);
    }
}
