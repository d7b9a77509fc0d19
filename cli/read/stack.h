// SPDX-License-Identifier: Apache-2.0
// The stack of a thread that sleeps in the kernel, without stopping it: the kernel tells its stack pointer and program
// counter (/proc/PID/task/TID/syscall), elfutils does the rest from the process's memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/read/objects.h"

namespace unknot::cli {

struct Frame {
    std::uint64_t address = 0;
    std::string text;    // name of the function and object
    std::string object;  // file name; empty: not in any object
    bool has_name() const { return text.ends_with(')'); }
    bool returns_from_signal = false;  // the frame between a signal handler and what it has interrupted
    bool scanned = false;              // a return address found on the stack, not unwound: it may be stale
};

struct Stack {
    std::vector<Frame> frames;  // innermost first
    // The innermost frame in that object whose function has a name, else the innermost; nullptr: none.
    const Frame* named_frame_in(const std::string& object) const;
    // The function that dl_iterate_phdr calls in this stack; empty: it is in no walk.
    std::string callback_of_walk() const;
    // The function in which an outer walk of the same thread was interrupted while it took or left the loader lock,
    // where the innermost walk waits for it; empty: there is no such walk.
    std::string interrupted_walk() const;
    // Is a signal handler at work in it?
    bool signal_frame() const;
};

class StackReader {
  public:
    StackReader(const Process& process, const Objects& objects, const std::vector<Mapping>& mappings);
    ~StackReader();
    // Empty when the thread is not asleep in a system call.
    Stack read(const ThreadState& thread) const;

  private:
    struct Session;
    Stack unwind(const ThreadState& thread) const;
    Stack scan(const ThreadState& thread) const;
    Frame frame_at(std::uint64_t address, bool is_return) const;
    const Process& process_;
    const Objects& objects_;
    const std::vector<Mapping>& mappings_;
    std::unique_ptr<Session> session_;
};

}  // namespace unknot::cli
