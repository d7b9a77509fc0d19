// SPDX-License-Identifier: Apache-2.0
// From posix_spawn to the end of a program that does nothing, under several preloads in turn, in one process: the
// differences are well below what a shell or an interpreter in between would add.
//   startup ROUNDS PROGRAM PRELOAD...      an empty PRELOAD is none
// Prints one median per preload, in microseconds, in the order given.
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/bench/clocks.h"

int main(int argc, char** argv) {
    if (argc < 4) {
        std::fprintf(stderr, "usage: startup ROUNDS PROGRAM PRELOAD...; nothing was measured\n");
        return 2;
    }
    const int rounds = std::atoi(argv[1]);
    std::vector<std::vector<double>> taken(static_cast<std::size_t>(argc - 3));
    for (int round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < taken.size(); ++i) {
            std::string preload = std::string("LD_PRELOAD=") + argv[i + 3];
            char* environment[] = {preload.data(), nullptr};
            char* arguments[] = {argv[2], nullptr};
            pid_t pid = 0;
            int status = 0;
            const std::int64_t start = unknot::bench::wall_ns();
            if (posix_spawn(&pid, argv[2], nullptr, nullptr, arguments, environment) != 0) return 1;
            if (waitpid(pid, &status, 0) != pid || status != 0) return 1;
            taken[i].push_back(static_cast<double>(unknot::bench::wall_ns() - start) / 1000);
        }
    }
    for (std::vector<double>& values : taken) {
        std::sort(values.begin(), values.end());
        std::printf("%.1f\n", values[values.size() / 2]);
    }
}
