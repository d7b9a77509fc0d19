// SPDX-License-Identifier: Apache-2.0
// Output goes to memory files: they never fill up, need no reading along, and leave nothing behind.
#include "tests/process/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace unknot::process {

namespace {

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

std::string content(int fd) {
    struct stat facts {};
    if (fstat(fd, &facts) != 0) return {};
    std::string text(static_cast<std::size_t>(facts.st_size), '\0');
    const ssize_t got = pread(fd, text.data(), text.size(), 0);
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return text;
}

std::int64_t size_of(int fd) {
    struct stat facts {};
    return fstat(fd, &facts) == 0 ? facts.st_size : 0;
}

std::vector<std::string> environment_of(const Command& command) {
    std::vector<std::string> all;
    for (char** given = environ; *given != nullptr; ++given) {
        const std::string_view name(*given, std::strcspn(*given, "="));
        bool replaced = false;
        for (const auto& [variable, value] : command.environment) replaced = replaced || variable == name;
        if (!replaced) all.emplace_back(*given);
    }
    for (const auto& [variable, value] : command.environment) {
        if (!value.empty()) all.push_back(variable + "=" + value);
    }
    return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (std::string& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

// In the child, between fork and exec: system calls only.
[[noreturn]] void become(char* const* argv, char* const* environment, int out, int err, pid_t parent) {
    // Dies with us whatever happens to us; the parent may be gone before the request is made.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    // A group of its own, so that what it starts can be ended with it, and Ctrl-C reaches the watcher alone.
    setpgid(0, 0);
    // No dumps, unless a program asks for its own.
    rlimit core{};
    getrlimit(RLIMIT_CORE, &core);
    core.rlim_cur = 0;
    setrlimit(RLIMIT_CORE, &core);
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0) _exit(127);
    execvpe(argv[0], argv, environment);
    dprintf(STDERR_FILENO, "cannot start %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

// CPU time that still counts as "next to none". Threads of a hung program may poll: a tcmalloc spin lock wakes every
// few milliseconds, a JVM has periodic threads. A hung JVM was measured at 2 %, in bursts; one working thread uses 100
// %.
std::uint64_t idle_allowance_ms(std::chrono::milliseconds quiet) {
    return 50 + static_cast<std::uint64_t>(quiet.count()) / 20;
}

}  // namespace

Child::Child(const Command& command, Watch watch) : watch_(watch), leaves_(command.leaves) {
    out_ = memfd_create("stdout", MFD_CLOEXEC);
    err_ = memfd_create("stderr", MFD_CLOEXEC);
    if (out_ < 0 || err_ < 0) fail("memfd_create");
    std::vector<std::string> arguments = command.argv;
    std::vector<std::string> variables = environment_of(command);
    const std::vector<char*> argv = pointers(arguments);
    const std::vector<char*> environment = pointers(variables);
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) fail("fork");
    if (pid_ == 0) become(argv.data(), environment.data(), out_, err_, parent);
    setpgid(pid_, pid_);  // whichever of the two comes first; afterwards the group exists for both
    pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    if (pidfd_ < 0) {
        end_and_reap();
        fail("pidfd_open");
    }
}

Child::~Child() {
    end_and_reap();
    for (int fd : {pidfd_, out_, err_}) {
        if (fd >= 0) close(fd);
    }
}

// SIGKILL, because a hung process may keep SIGTERM pending for ever: libunwind masks signals around its lock, and a JVM
// handles them in threads that hang.
// Returns its peak of resident memory, in kB. That begins with our own: a process that is about to exec counts.
long Child::end_and_reap() {
    if (pid_ <= 0) return 0;
    kill(-pid_, SIGKILL);
    rusage used{};
    while (wait4(pid_, nullptr, 0, &used) < 0 && errno == EINTR) {
    }
    for (std::string left : leaves_) {
        if (const std::size_t place = left.find("%p"); place != std::string::npos)
            left.replace(place, 2, std::to_string(pid_));
        unlink(left.c_str());
    }
    pid_ = -1;
    return used.ru_maxrss;
}

std::string Child::out() const {
    return content(out_);
}
std::string Child::err() const {
    return content(err_);
}

Result Child::finish(Outcome outcome, int code) {
    const pid_t pid = pid_;
    const long peak_kb = end_and_reap();  // also what it may have left behind in its group
    return {outcome, code, pid, out(), err(), peak_kb};
}

bool Child::made_progress() {
    const VitalSigns now = read_vital_signs(pid_);
    const auto quiet = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - quiet_since_);
    const std::int64_t output = size_of(out_) + size_of(err_);
    // Awake twice in a row is working, or waiting for a CPU. Once may be the blink of a thread that polls.
    const bool progress =
        output != quiet_output_ || (now.awake && was_awake_) || now.cpu_ms > quiet_cpu_ms_ + idle_allowance_ms(quiet);
    was_awake_ = now.awake;
    if (progress) {
        quiet_since_ = Clock::now();
        quiet_cpu_ms_ = now.cpu_ms;
        quiet_output_ = output;
    }
    return progress;
}

std::optional<Result> Child::look(std::chrono::milliseconds patience) {
    pollfd end{pidfd_, POLLIN, 0};
    poll(&end, 1, static_cast<int>(patience.count()));
    // WNOWAIT: the id stays ours until finish() has ended its group.
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_) {
        return finish(info.si_code == CLD_EXITED ? Outcome::exited : Outcome::killed, info.si_status);
    }
    const bool progress = made_progress();
    const auto now = Clock::now();
    if (!progress && now - quiet_since_ >= watch_.quiet) return finish(Outcome::hung, SIGKILL);
    if (now - started_ >= watch_.limit) return finish(Outcome::overdue, SIGKILL);
    return std::nullopt;
}

Result run(const Command& command, Watch watch) {
    Child child(command, watch);
    for (;;) {
        if (std::optional<Result> result = child.look(std::chrono::milliseconds(50))) return *std::move(result);
    }
}

std::string describe(const Result& result) {
    switch (result.outcome) {
        case Outcome::exited:
            return "exited " + std::to_string(result.code);
        case Outcome::killed:
            return "killed by signal " + std::to_string(result.code);
        case Outcome::hung:
            return "hung";
        case Outcome::overdue:
            return "still running at the limit";
    }
    return "?";
}

}  // namespace unknot::process
