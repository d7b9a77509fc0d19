// SPDX-License-Identifier: Apache-2.0
// One thread of the fuzzer: a seeded sequence of operations. Operation i of a thread begins the same way in every run
// with that seed; which blocks it finds in the shared slots, and so what it draws next, is the machine's affair. A run
// of a single thread repeats itself exactly.
#pragma once

#include <cstdint>
#include <random>

#include "tests/operations/blocks.h"

namespace operations {

struct Settings {
    bool vendor = false;   // the allocator's own doors too
    bool signals = false;  // a timer interrupts; where the arena serves, the handler allocates
    // The allocator unwinds. libunwind and libgcc know nothing of fork: a child may find their locks owned for ever, so
    // it keeps to what the arena serves.
    bool unwinds = true;
    bool forks = true;
    bool locks = true;      // fork handlers that take a lock, under which threads walk
    bool stretches = true;  // constructors that work for long under the load lock
    bool deep = false;      // plug-ins that are bound to libc's own functions: only over libc's own allocator
};

struct Tally {
    std::uint64_t operations = 0, walks = 0, loads = 0, throws = 0, forks = 0, signals = 0, grown = 0;
    std::uint64_t locked = 0, stretches = 0, deep = 0;
};

// Before any thread.
void register_fork_handlers();

class Worker {
  public:
    Worker(Slots& slots, std::uint64_t seed, const Settings& settings);

    void run(std::size_t operations);
    const Tally& tally() const { return tally_; }

    // What a plug-in's constructor and the signal handler call, on this thread.
    void in_constructor();

  private:
    void one_operation();
    void in_a_walk();
    void throw_out_of_a_walk();
    void throw_and_catch();
    void load_and_unload();
    void fork_a_child();
    void grow();
    void work_under_a_lock();
    void work_in_constructor_for_long();
    void load_deep_plugin();
    void ask_for_too_much();

    void allocate();
    void deallocate();
    void reallocate();
    void a_few_blocks();

    Block make(const doors::Allocation& door);
    void release(const Block& block);
    const doors::Doors& some_doors();
    std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_); }
    std::size_t some_size();

    Slots& slots_;
    std::uint64_t seed_;
    std::mt19937_64 random_;
    const Settings& settings_;
    Tally tally_;
    unsigned depth_ = 0;  // walks and loads on this thread's stack
    bool inside_walk_ = false;
    bool is_child_ = false;
    bool stretches_ = false;  // the next constructor works for long
};

}  // namespace operations
