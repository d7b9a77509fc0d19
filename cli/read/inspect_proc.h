// SPDX-License-Identifier: Apache-2.0
// One process, read through /proc and process_vm_readv, or, behind the same calls, from a core dump (core_process.h).
// Nothing here stops, signals or traces it. Its folder in /proc
// is held open, so that files are never another process's with the same id; memory is read by id, so callers check
// `still_the_same()` before they believe what they put together.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace unknot::cli {

struct Mapping {
    std::uint64_t start = 0, end = 0, offset = 0;
    bool readable = false, writable = false, executable = false;
    std::string path;      // as in /proc/PID/maps, without " (deleted)"; empty: anonymous
    bool deleted = false;  // no longer at that path
    bool contains(std::uint64_t address) const { return address >= start && address < end; }
};

// One thread at one moment.
struct ThreadState {
    pid_t tid = 0;        // in our PID namespace
    pid_t inner_tid = 0;  // in the process's own: what its mutexes record
    std::string name;
    char state = '?';
    std::uint64_t cpu_ticks = 0;
    std::uint64_t switches = 0;  // context switches so far: unchanged means that it did not run at all
    bool in_syscall = false;     // blocked in the kernel; the next fields are set
    bool syscall_readable = false;
    long syscall = -1;
    std::uint64_t argument[6] = {};
    std::uint64_t stack_pointer = 0, program_counter = 0;
};

// What its line in /proc says, when the object was made.
struct Life {
    std::uint64_t start_time = 0;  // clock ticks since the boot: with the process id, this process and no other
    // Another program's after exec. 0 or 1: may not be seen.
    std::uint64_t start_code = 0, start_stack = 0;
    std::uint64_t address_space_bytes = 0;  // 0: a kernel thread, or it has ended
    pid_t parent = 0;
    // The same process, and the same program in it.
    bool operator==(const Life& other) const { return start_time == other.start_time && runs_the_program_of(other); }
    bool runs_the_program_of(const Life& other) const {
        return start_code == other.start_code && start_stack == other.start_stack;
    }
};

class Process {
  public:
    // Throws ProcessGone or NotPermitted.
    explicit Process(pid_t pid);
    virtual ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    pid_t pid() const { return pid_; }
    pid_t inner_pid() const { return inner_pid_; }
    const std::string& name() const { return name_; }
    const Life& life() const { return life_; }
    virtual std::string executable() const;  // path in the process's own root; empty: kernel thread or gone
    virtual std::string program() const;     // that file, whatever its path is, as this program can open it
    virtual bool is_zombie() const;          // it has ended, or its first thread has
    virtual std::string outside_path(const std::string& path) const;  // that path, as this program can open it
    // The file that is mapped there, whatever its path leads to now; empty: it cannot be told.
    virtual std::string mapped_file(std::uint64_t start, std::uint64_t end) const;
    virtual std::vector<std::string> command_line() const;
    virtual std::string place() const;  // its container or unit; empty: neither
    // As the process was started with; what it changed since does not show.
    virtual std::optional<std::string> environment(std::string_view variable) const;

    virtual std::vector<Mapping> mappings() const;  // throws NotPermitted, ProcessGone
    virtual std::vector<ThreadState> threads() const;
    // Of every thread its ids and the system call that it is in, and nothing else: a third of the reading.
    std::vector<ThreadState> waits() const;
    std::optional<ThreadState> thread(pid_t tid) const;  // nullopt: it has ended
    virtual std::optional<std::uint64_t> auxiliary(std::uint64_t type) const;
    // The text after "key:" in the thread's status; empty: there is no such line, or no such thread any more.
    virtual std::string thread_status(pid_t tid, std::string_view key) const;
    bool has_thread(pid_t tid) const;
    // A file of its folder in /proc, such as "maps"; the caller closes it. Negative: errno says why.
    int open_file(const char* name, int flags) const;

    virtual bool read(std::uint64_t address, void* to, std::size_t size) const;  // all of it, or false
    template <class T>
    std::optional<T> read(std::uint64_t address) const {
        T value;
        if (!read(address, &value, sizeof value)) return std::nullopt;
        return value;
    }
    std::string read_string(std::uint64_t address, std::size_t most) const;
    // Why the last read() failed for want of a permission, in words; empty: it did not.
    const std::string& denied() const { return denied_; }

    // The same process as when this object was made; PIDs come round again.
    virtual bool still_the_same() const;
    void expect_still_the_same() const;  // throws ProcessGone

  protected:
    Process() = default;
    pid_t pid_ = 0, inner_pid_ = 0;
    std::string name_;

  private:
    Process(pid_t pid, int folder);
    std::string folder() const;
    bool read_system_call(const std::string& task, ThreadState& thread) const;  // false: the thread has ended
    int folder_ = -1;
    Life life_;
    mutable std::string denied_;
};

std::vector<pid_t> all_processes();

}  // namespace unknot::cli
