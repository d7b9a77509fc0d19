// SPDX-License-Identifier: Apache-2.0
#include "shim/log/log_output.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <atomic>

#include "shim/system/line.h"
#include "shim/system/platform.h"

namespace unknot::log_output {

namespace {

constexpr int stderr_fd = 2;

constinit LogTarget log_target{};

enum class Stderr : std::uint8_t { unknown, closed, open };

// Written once, by the first call of the process that reaches the shim.
struct StderrAtStart {
    Stderr state = Stderr::unknown;
    dev_t device = 0;
    ino_t inode = 0;
};
constinit StderrAtStart at_start{};

constinit std::atomic<bool> failure_told{false};

// Keeps the signals away that a write can raise against its own thread, and takes them back if it did. A signal that
// the thread blocks already stays as it is: then nobody is stopped by it.
class NoSignals {
  public:
    NoSignals() {
        raw::call(SYS_rt_sigprocmask, SIG_BLOCK, raw::address(&raised_by_writes), raw::address(&before_),
                  sizeof before_);
    }
    ~NoSignals() { raw::call(SYS_rt_sigprocmask, SIG_SETMASK, raw::address(&before_), 0, sizeof before_); }
    NoSignals(const NoSignals&) = delete;
    NoSignals& operator=(const NoSignals&) = delete;

    void take_back() const {
        const std::uint64_t ours = raised_by_writes & ~before_;
        const timespec at_once{};
        raw::call(SYS_rt_sigtimedwait, raw::address(&ours), 0, raw::address(&at_once), sizeof ours);
    }

  private:
    // The kernel's signal sets have 64 bits.
    static constexpr std::uint64_t raised_by_writes = 1ull << (SIGPIPE - 1) | 1ull << (SIGXFSZ - 1);

    std::uint64_t before_ = 0;
};

// 0, or why not.
int write_all(int fd, const char* text, std::size_t size) {
    const NoSignals quiet;
    while (size != 0) {
        const long n = raw::call(SYS_write, fd, raw::address(text), static_cast<long>(size));
        if (n == -EINTR) continue;
        if (n == -EPIPE || n == -EFBIG) quiet.take_back();
        if (raw::failed(n)) return static_cast<int>(-n);
        if (n == 0) return EIO;
        text += n;
        size -= static_cast<std::size_t>(n);
    }
    return 0;
}

bool is_stderr_still() {
    if (at_start.state != Stderr::open) return at_start.state == Stderr::unknown;
    struct stat now {};
    if (raw::failed(raw::call(SYS_fstat, stderr_fd, raw::address(&now)))) return false;
    if (now.st_dev == at_start.device && now.st_ino == at_start.inode) return true;
    const long flags = raw::call(SYS_fcntl, stderr_fd, F_GETFL);
    return !raw::failed(flags) && (flags & O_APPEND) != 0;
}

void write_to_stderr(const char* text, std::size_t size) {
    if (is_stderr_still()) write_all(stderr_fd, text, size);
}

// Room for a whole log path and the digits of a pid.
using Path = char[sizeof log_target.path + 16];

char* append(char* to, const char* from, std::size_t bytes) {
    return static_cast<char*>(memcpy(to, from, bytes)) + bytes;
}

// The first %p becomes the pid.
void expand(Path& path) {
    char* to = path;
    const char* from = log_target.path;
    if (const char* mark = strstr(from, "%p")) {
        to = append(to, from, static_cast<std::size_t>(mark - from));
        char digits[12];
        std::size_t n = 0;
        for (std::uint32_t pid = raw::pid(); pid != 0 || n == 0; pid /= 10) {
            digits[sizeof digits - ++n] = static_cast<char>('0' + pid % 10);
        }
        to = append(to, digits + sizeof digits - n, n);
        from = mark + 2;
    }
    append(to, from, strlen(from) + 1);
}

// Opened for every line: a descriptor that is kept could be closed by the program and mean another file then.
int write_to_file(const char* path, const char* text, std::size_t size) {
    const int fd = raw::open_append(path);
    if (fd < 0) return -fd;
    const int failure = write_all(fd, text, size);
    raw::close(fd);
    return failure;
}

const char* reason(int failure) {
    switch (failure) {
        case ENOENT:
            return "no such folder";
        case ENOTDIR:
            return "a part of the path is no folder";
        case EISDIR:
            return "it is a folder";
        case EACCES:
        case EPERM:
            return "permission denied";
        case EROFS:
            return "read-only file system";
        case ENOSPC:
        case EDQUOT:
            return "no space left";
        case EFBIG:
            return "file size limit";
        case EMFILE:
        case ENFILE:
            return "no file descriptor left";
        case ELOOP:
            return "a symbolic link that another user made, or that leads nowhere";
        case ENXIO:
            return "a FIFO that nobody reads";
        default:
            return nullptr;
    }
}

void tell_failure(const char* path, int failure) {
    // Relaxed: nothing else hangs on it.
    if (failure_told.exchange(true, std::memory_order_relaxed)) return;
    Line line;
    line << "UNKNOT_LOG: cannot write to " << path << " (";
    if (const char* words = reason(failure)) {
        line << words;
    } else {
        line << "error " << static_cast<std::uint64_t>(failure);
    }
    line << "); using stderr";
    write_to_stderr(line.text(), line.size());
}

}  // namespace

void use(const LogTarget& target) {
    log_target = target;
}

void remember_stderr() {
    if (at_start.state != Stderr::unknown) return;
    struct stat now {};
    const bool inherited = !raw::failed(raw::call(SYS_fstat, stderr_fd, raw::address(&now))) &&
                           (raw::call(SYS_fcntl, stderr_fd, F_GETFD) & FD_CLOEXEC) == 0 &&
                           (raw::call(SYS_fcntl, stderr_fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
    at_start = {.state = inherited ? Stderr::open : Stderr::closed, .device = now.st_dev, .inode = now.st_ino};
}

void write(const char* text, std::size_t size) {
    if (log_target.is_stderr()) return write_to_stderr(text, size);
    Path path;
    expand(path);
    const int failure = write_to_file(path, text, size);
    if (failure == 0) return;
    tell_failure(path, failure);
    write_to_stderr(text, size);
}

}  // namespace unknot::log_output
