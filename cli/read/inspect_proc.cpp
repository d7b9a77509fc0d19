// SPDX-License-Identifier: Apache-2.0
// Reading /proc. A line that does not parse is skipped; a file that is not there means that the process has gone.
#include "cli/read/inspect_proc.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cli/read/cgroup.h"
#include "cli/read/maps.h"
#include "cli/read/permission.h"
#include "cli/read/proc_text.h"
#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

// Of stat_fields(); proc(5) counts from 1 and has two more in front.
constexpr std::size_t parent_field = 1, start_time_field = 19, address_space_field = 20, start_code_field = 23,
                      start_stack_field = 25;

}  // namespace

std::vector<pid_t> all_processes() {
    return numeric_entries("/proc");
}

std::string Process::folder() const {
    return fmt::format("/proc/self/fd/{}", folder_);
}

Process::~Process() {
    if (folder_ >= 0) close(folder_);
}

Process::Process(pid_t pid, int folder) : pid_(pid), folder_(folder) {}

// The object is whole once the other constructor is through: what is thrown from here closes the folder.
Process::Process(pid_t pid)
    : Process(pid, open(fmt::format("/proc/{}", pid).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    const std::string text = slurp(folder() + "/stat");
    const auto fields = stat_fields(text);
    if (fields.size() <= start_stack_field) throw ProcessGone(fmt::format("there is no process {}", pid));
    name_ = stat_name(text);
    life_.start_time = number(fields[start_time_field]);
    life_.start_code = number(fields[start_code_field]);
    life_.start_stack = number(fields[start_stack_field]);
    life_.address_space_bytes = number(fields[address_space_field]);
    life_.parent = static_cast<pid_t>(number(fields[parent_field]));
    const std::string status = slurp(folder() + "/status");
    // A thread's id finds its process here too; its mutexes and its memory are the same, its task list is not.
    const std::uint64_t leader = status_number(status, "Tgid");
    if (leader != 0 && static_cast<pid_t>(leader) != pid)
        throw Trouble(fmt::format("{} is a thread of process {}: give that id", pid, leader));
    const std::uint64_t inner = status_number(status, "NSpid");
    inner_pid_ = inner == 0 ? pid : static_cast<pid_t>(inner);
}

bool Process::still_the_same() const {
    const auto fields = stat_fields(slurp(folder() + "/stat"));
    return fields.size() > start_time_field && number(fields[start_time_field]) == life_.start_time &&
           fields[0] != "Z" && fields[0] != "X";
}

void Process::expect_still_the_same() const {
    if (!still_the_same()) throw ProcessGone(fmt::format("process {} ended while it was being read", pid_));
}

std::string Process::executable() const {
    char path[4096];
    const ssize_t n = readlink((folder() + "/exe").c_str(), path, sizeof path);
    if (n <= 0) return {};
    std::string text(path, static_cast<std::size_t>(n));
    constexpr std::string_view gone = " (deleted)";
    if (text.ends_with(gone)) text.resize(text.size() - gone.size());
    return text;
}

std::string Process::program() const {
    return folder() + "/exe";
}

bool Process::is_zombie() const {
    const auto fields = stat_fields(slurp(folder() + "/stat"));
    return !fields.empty() && (fields[0] == "Z" || fields[0] == "X");
}

std::string Process::mapped_file(std::uint64_t start, std::uint64_t end) const {
    return fmt::format("{}/map_files/{:x}-{:x}", folder(), start, end);
}

std::string Process::outside_path(const std::string& path) const {
    return folder() + "/root" + path;
}

std::string Process::place() const {
    return place_in(slurp(folder() + "/cgroup"));
}

std::vector<std::string> Process::command_line() const {
    return split(slurp(folder() + "/cmdline"), '\0');
}

std::optional<std::string> Process::environment(std::string_view variable) const {
    for (const std::string& entry : split(slurp(folder() + "/environ"), '\0')) {
        if (entry.size() > variable.size() && entry.starts_with(variable) && entry[variable.size()] == '=')
            return entry.substr(variable.size() + 1);
    }
    return std::nullopt;
}

std::vector<Mapping> Process::mappings() const {
    int error = 0;
    const std::string text = slurp(folder() + "/maps", &error);
    if (error == EACCES || error == EPERM)
        throw NotPermitted(fmt::format("cannot read /proc/{}/maps: {}", pid_, missing_permission()));
    if (error != 0) throw ProcessGone(fmt::format("process {} ended while it was being read", pid_));
    return mappings_in(text);
}

std::vector<Mapping> mappings_in(const std::string& text) {
    std::vector<Mapping> found;
    for (const std::string& line : split(text, '\n')) {
        Mapping mapping;
        char mode[5] = {};
        int path_at = 0;
        unsigned long start, end, offset;
        if (std::sscanf(line.c_str(), "%lx-%lx %4s %lx %*s %*s %n", &start, &end, mode, &offset, &path_at) != 4)
            continue;
        mapping.start = start;
        mapping.end = end;
        mapping.offset = offset;
        mapping.readable = mode[0] == 'r';
        mapping.writable = mode[1] == 'w';
        mapping.executable = mode[2] == 'x';
        if (path_at > 0 && static_cast<std::size_t>(path_at) < line.size())
            mapping.path = line.substr(static_cast<std::size_t>(path_at));
        constexpr std::string_view gone = " (deleted)";
        if (mapping.path.ends_with(gone)) {
            mapping.deleted = true;
            mapping.path.resize(mapping.path.size() - gone.size());
        }
        found.push_back(std::move(mapping));
    }
    return found;
}

bool Process::read_system_call(const std::string& task, ThreadState& thread) const {
    int error = 0;
    const std::string syscall = slurp(task + "/syscall", &error);
    thread.syscall_readable = error == 0 && !syscall.empty();
    // A thread that has ended since its first file was read is none, not one that the kernel keeps silent about.
    if (error == ESRCH || (error == ENOENT && access(task.c_str(), F_OK) != 0)) return false;
    if (error == EACCES || error == EPERM) denied_ = missing_permission();
    const auto words = split(syscall, ' ');
    // "running", or "-1 SP PC" when stopped outside a system call.
    if (words.size() == 9) {
        thread.in_syscall = true;
        thread.syscall = std::strtol(words[0].c_str(), nullptr, 10);
        for (std::size_t i = 0; i < 6; ++i) thread.argument[i] = number(words[i + 1], 16);
        thread.stack_pointer = number(words[7], 16);
        thread.program_counter = number(words[8], 16);
    }
    return true;
}

std::optional<ThreadState> Process::thread(pid_t tid) const {
    const std::string task = fmt::format("{}/task/{}", folder(), tid);
    const std::string stat = slurp(task + "/stat");
    const auto fields = stat_fields(stat);
    if (fields.size() < 13) return std::nullopt;
    ThreadState thread;
    thread.tid = tid;
    thread.name = stat_name(stat);
    thread.state = fields[0].empty() ? '?' : fields[0][0];
    thread.cpu_ticks = number(fields[11]) + number(fields[12]);
    const std::string status = slurp(task + "/status");
    thread.switches =
        status_number(status, "voluntary_ctxt_switches") + status_number(status, "nonvoluntary_ctxt_switches");
    const std::uint64_t inner = status_number(status, "NSpid");
    thread.inner_tid = inner == 0 ? tid : static_cast<pid_t>(inner);
    if (!read_system_call(task, thread)) return std::nullopt;
    return thread;
}

std::vector<ThreadState> Process::threads() const {
    std::vector<ThreadState> found;
    for (const pid_t tid : numeric_entries(folder() + "/task"))
        if (auto state = thread(tid)) found.push_back(std::move(*state));
    return found;
}

std::vector<ThreadState> Process::waits() const {
    std::vector<ThreadState> found;
    for (const pid_t tid : numeric_entries(folder() + "/task")) {
        ThreadState thread;
        thread.tid = tid;
        const std::string task = fmt::format("{}/task/{}", folder(), tid);
        const std::uint64_t inner = inner_pid_ == pid_ ? 0 : status_number(slurp(task + "/status"), "NSpid");
        thread.inner_tid = inner == 0 ? tid : static_cast<pid_t>(inner);
        if (read_system_call(task, thread)) found.push_back(std::move(thread));
    }
    return found;
}

std::optional<std::uint64_t> Process::auxiliary(std::uint64_t type) const {
    const std::string bytes = slurp(folder() + "/auxv");
    for (std::size_t at = 0; at + 16 <= bytes.size(); at += 16) {
        std::uint64_t entry[2];
        std::memcpy(entry, bytes.data() + at, sizeof entry);
        if (entry[0] == type) return entry[1];
    }
    return std::nullopt;
}

bool Process::read(std::uint64_t address, void* to, std::size_t size) const {
    const iovec mine{to, size};
    const iovec theirs{reinterpret_cast<void*>(address), size};  // NOLINT: an address in another process
    const ssize_t n = process_vm_readv(pid_, &mine, 1, &theirs, 1, 0);
    if (n < 0 && (errno == EPERM || errno == EACCES)) denied_ = missing_permission();
    return n == static_cast<ssize_t>(size);
}

std::string Process::thread_status(pid_t tid, std::string_view key) const {
    const std::string status = slurp(fmt::format("{}/task/{}/status", folder(), tid));
    const std::string begin = fmt::format("\n{}:", key);
    const std::size_t at = status.find(begin);
    if (at == std::string::npos) return {};
    const std::size_t from = status.find_first_not_of(" \t", at + begin.size());
    const std::size_t to = status.find('\n', at + 1);
    return from == std::string::npos || from >= to ? std::string() : status.substr(from, to - from);
}

bool Process::has_thread(pid_t tid) const {
    return access(fmt::format("{}/task/{}", folder(), tid).c_str(), F_OK) == 0;
}

int Process::open_file(const char* name, int flags) const {
    return open((folder() + "/" + name).c_str(), flags | O_CLOEXEC);
}

std::string Process::read_string(std::uint64_t address, std::size_t most) const {
    std::string text;
    // A page at a time, so that a string that ends at the end of a mapping is read.
    while (text.size() < most) {
        char part[4096];
        const std::size_t size = std::min<std::size_t>(4096 - (address & 4095), most - text.size());
        if (!read(address, part, size)) break;
        const std::size_t length = strnlen(part, size);
        text.append(part, length);
        if (length < size) break;
        address += size;
    }
    return text;
}

}  // namespace unknot::cli
