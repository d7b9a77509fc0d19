// SPDX-License-Identifier: Apache-2.0
// A process that is no more, from its core dump: gcore's, the kernel's, systemd-coredump's once decompressed. Memory
// that a dump leaves out because it is a file's is read from that file. What a core does not hold is inferred, and
// said: that a thread slept in a system call, from its registers.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/read/inspect_proc.h"

namespace unknot::cli {

struct CoreOptions {
    std::string file;
    std::string executable;  // empty: at the path that the core names
    std::string sysroot;     // where its files are found; empty: here
};

class CoreProcess : public Process {
  public:
    // Throws Trouble: not a core, cut off, of another machine.
    explicit CoreProcess(const CoreOptions& options);
    ~CoreProcess() override;

    std::string executable() const override { return executable_; }
    std::string program() const override { return outside_path(executable_); }
    bool is_zombie() const override { return false; }
    std::string place() const override { return {}; }
    std::string outside_path(const std::string& path) const override;
    std::string mapped_file(std::uint64_t, std::uint64_t) const override { return {}; }
    std::vector<std::string> command_line() const override { return command_line_; }
    std::optional<std::string> environment(std::string_view variable) const override;
    std::vector<Mapping> mappings() const override { return mappings_; }
    std::vector<ThreadState> threads() const override { return threads_; }
    std::optional<std::uint64_t> auxiliary(std::uint64_t type) const override;
    std::string thread_status(pid_t, std::string_view) const override { return {}; }
    bool read(std::uint64_t address, void* to, std::size_t size) const override;
    bool still_the_same() const override { return true; }
    const std::vector<std::string>& notes() const { return notes_; }

  private:
    struct Segment {
        std::uint64_t start = 0, in_memory = 0, in_file = 0, offset = 0;
    };
    void read_headers();
    void read_note(unsigned type, const std::string& name, const std::string& bytes);
    void read_thread(const std::string& bytes);
    void read_files(const std::string& bytes);
    void name_mappings();
    void find_program();
    std::size_t read_some(std::uint64_t address, void* to, std::size_t size) const;
    int file_of(const Mapping& mapping) const;

    CoreOptions options_;
    int core_ = -1;
    std::vector<Segment> segments_;
    std::vector<Mapping> files_, mappings_;
    std::vector<ThreadState> threads_;
    std::map<std::uint64_t, std::uint64_t> auxiliary_;
    std::string executable_;
    std::vector<std::string> command_line_, notes_;
    mutable std::map<std::string, int> opened_;
};

}  // namespace unknot::cli
