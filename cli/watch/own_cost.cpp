// SPDX-License-Identifier: Apache-2.0
#include "cli/watch/own_cost.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace unknot::cli {
namespace {

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::uint64_t resident() {
    std::FILE* file = std::fopen("/proc/self/statm", "re");
    if (file == nullptr) return 0;
    unsigned long pages = 0;
    if (std::fscanf(file, "%*u %lu", &pages) != 1) pages = 0;
    std::fclose(file);
    return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

void OwnCost::round_is_over(double took_s) {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    resident_bytes = resident();
    round_s = took_s;
    ++rounds;
    last_round_at_s = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace unknot::cli
