// SPDX-License-Identifier: Apache-2.0
// Versions, the cycle, every thread's stack, the lock words. No environment beyond the few variables that matter, and
// no argument of the command line: both may hold secrets.
#include "cli/say/report_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <iterator>

#include "cli/read/trouble.h"
#include "cli/say/doctor_output.h"
#include "cli/say/style.h"

namespace unknot::cli {
namespace {

std::string text_of(const Examination& found) {
    std::string text;
    const auto out = std::back_inserter(text);
    char when[64] = {};
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    std::strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &utc));
    utsname kernel{};
    uname(&kernel);
    fmt::format_to(out, "Loader lock deadlock, reported by unknot {}\n{}, Linux {} {}\n\n", UNKNOT_VERSION, when,
                   kernel.release, kernel.machine);
    fmt::format_to(out, "{}", findings(found, false));
    const Deadlock& deadlock = found.deadlock;
    if (found.is_core)
        fmt::format_to(out, "\nSeen once, in a core dump.\n");
    else
        fmt::format_to(out, "\nSeen {} times, {} ms apart, without a move. Nothing was stopped or traced.\n",
                       deadlock.samples, deadlock.interval_ms);
    fmt::format_to(out, "\nLoader locks ({}):\n", words_for(deadlock.locks.source));
    for (const LoaderLock& lock : deadlock.locks.locks)
        fmt::format_to(out, "  {:<20} at {:#x}: lock {}, owner {}, depth {}\n", lock.name, lock.address,
                       lock.words.lock, lock.words.owner, lock.words.count);
    fmt::format_to(out, "\nThreads, those of the cycle first:\n");
    for (const ThreadReport& thread : deadlock.threads) {
        fmt::format_to(out, "\nthread {} ({}), state {}, {}\n", thread.state.tid, thread.state.name, thread.state.state,
                       thread.waiting);
        int number = 0;
        for (const Frame& frame : thread.stack.frames)
            fmt::format_to(out, "  #{:<3} {:#018x} {}{}\n", number++, frame.address, frame.text,
                           frame.scanned ? "  [found on the stack, may be stale]" : "");
    }
    return text;
}

}  // namespace

std::string write_report(const Examination& found, const std::string& wanted) {
    std::string path = wanted;
    if (const std::size_t at = path.find("%p"); at != std::string::npos) path.replace(at, 2, std::to_string(found.pid));
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        throw Trouble(
            fmt::format("{}: the report cannot be written: {}; give another path with --report (%p becomes the "
                        "process id)",
                        path, std::strerror(errno)));
    const std::string text = harmless(text_of(found));
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t n = write(fd, text.data() + done, text.size() - done);
        if (n <= 0 && errno != EINTR) {
            const int error = errno;
            close(fd);
            throw Trouble(fmt::format("{}: the report cannot be written: {}", path, std::strerror(error)));
        }
        if (n > 0) done += static_cast<std::size_t>(n);
    }
    close(fd);
    return path;
}

}  // namespace unknot::cli
