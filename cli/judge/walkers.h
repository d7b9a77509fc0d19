// SPDX-License-Identifier: Apache-2.0
// Libraries in a process that walk the loaded objects, and what each does there, by what its file shows.
#pragma once

#include <string>
#include <vector>

#include "cli/read/objects.h"

namespace unknot::cli {

enum class Habit {
    walks_not,             // it does not import dl_iterate_phdr
    allocates_not,         // it walks, and allocates nothing meanwhile
    may_allocate_in_walk,  // it walks; its file does not tell more
    allocates_in_walk,     // edge L -> M
    locks_around_walk,     // a lock that its own malloc takes too: edges of their own, in both directions
    unwinds_in_signals,    // walks that come in anywhere
};

struct Walker {
    std::string object;   // file name
    std::string tool;     // async-profiler
    std::string version;  // as the library itself says; empty: it does not
    Habit habit = Habit::allocates_not;
    std::string evidence;
    bool is_async_profiler = false;  // itself, no fork
    bool allocates() const { return habit == Habit::allocates_in_walk || habit == Habit::may_allocate_in_walk; }
};

std::vector<Walker> walkers_of(const Objects& objects);
std::string name_of(Habit habit);  // as in JSON: "allocates_in_walk"

}  // namespace unknot::cli
