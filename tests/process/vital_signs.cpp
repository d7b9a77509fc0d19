// SPDX-License-Identifier: Apache-2.0
// The parsing of /proc/PID/stat and /proc/PID/task/TID/{stat,children}, proc(5). What ends while we look is skipped.
#include "tests/process/vital_signs.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>

namespace unknot::process {

namespace {

struct Stat {
    char state = 'X';
    std::uint64_t cpu_ticks = 0;  // of all its threads, also those that have ended, and of the children it has reaped
};

std::optional<Stat> read_stat(const std::filesystem::path& path) {
    std::ifstream file(path);
    // Whole, as far as it can be read: getline swallows the failure of a read from a thread that is ending.
    std::string line;
    std::getline(file, line, '\0');
    // The second field is the name in brackets, which may hold anything; the rest is separated by blanks.
    const std::size_t name_end = line.rfind(')');
    if (name_end == std::string::npos) return std::nullopt;
    std::istringstream fields(line.substr(name_end + 1));
    Stat stat;
    fields >> stat.state;  // field 3
    std::string skipped;
    for (int field = 4; field <= 13; ++field) fields >> skipped;
    for (int field = 14; field <= 17; ++field) {  // utime, stime, cutime, cstime
        std::uint64_t ticks = 0;
        fields >> ticks;
        stat.cpu_ticks += ticks;
    }
    return fields ? std::optional(stat) : std::nullopt;
}

}  // namespace

VitalSigns read_vital_signs(pid_t pid) {
    static const auto ticks_per_second = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
    const std::filesystem::path process = "/proc/" + std::to_string(pid);
    VitalSigns signs;
    if (const auto stat = read_stat(process / "stat")) signs.cpu_ms = stat->cpu_ticks * 1000 / ticks_per_second;
    std::error_code gone;
    for (std::filesystem::directory_iterator thread(process / "task", gone), end; !gone && thread != end;
         thread.increment(gone)) {
        if (const auto stat = read_stat(thread->path() / "stat")) {
            signs.awake = signs.awake || stat->state == 'R' || stat->state == 'D';
        }
        std::ifstream children(thread->path() / "children");
        for (pid_t child = 0; children >> child;) {
            const VitalSigns theirs = read_vital_signs(child);
            signs.cpu_ms += theirs.cpu_ms;
            signs.awake = signs.awake || theirs.awake;
        }
    }
    return signs;
}

}  // namespace unknot::process
