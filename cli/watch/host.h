// SPDX-License-Identifier: Apache-2.0
// The processes of this host, judged as the doctor judges them, and judged anew only where something has changed:
// another program, other code in memory, another file at the shim's path, another mode, a word of the cure, threads
// that may have come to a stop. Everything else costs a process a few small reads a round. One thread calls it.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "cli/judge/examine.h"
#include "cli/judge/samples.h"

namespace unknot::cli {

// Who waits for what, where somebody may wait for ever. Equal: nobody whose wait has no time limit has run in between.
struct Standstill {
    bool any = false;
    std::vector<std::tuple<pid_t, std::uint64_t, std::uint64_t>> waits;  // thread, futex, context switches so far
    bool operator==(const Standstill&) const = default;
};

// Which file is at a path; zeros: none.
struct FileAtPath {
    std::uint64_t device = 0, inode = 0;
    std::int64_t changed_s = 0;
    bool operator==(const FileAtPath&) const = default;
};

struct Watched {
    using Clock = std::chrono::steady_clock;
    Life life;
    Examination found;              // its page is of the last round
    std::optional<Verdict> before;  // what was found the time before; nullopt: it is judged for the first time
    // As they were when it was judged.
    Clock::time_point judged_at;
    std::size_t code = 0;  // of the files whose code is mapped, and where
    FileAtPath library;
    Standstill standstill;
    // Dead: from the first look that showed it to the first that neither shows nor suspects it.
    bool dead = false;
    bool is_to_be_judged = false;
    // Of its counters, by their index, what has been added to the sums already. A fork is born with its parent's.
    std::vector<std::uint64_t> counted;
};

class Host {
  public:
    // Processes of these names alone, as the kernel has them (15 bytes); none: all.
    explicit Host(const std::vector<std::string>& programs);
    struct Round {
        std::vector<pid_t> judged;  // anew
        std::vector<pid_t> died;    // deadlocked since this round
        std::vector<Watched> ended;
    };
    // `stop` is asked between two processes; what has been found by then counts.
    Round round(const std::function<bool()>& stop);

    std::map<pid_t, Watched>& processes() { return processes_; }
    const std::map<pid_t, Watched>& processes() const { return processes_; }
    void judge_next_time(pid_t pid);  // whatever has changed

  private:
    // stuck: anew, and it takes a second of waiting.
    enum class Look { kept, anew, stuck, none };
    Look look_at(pid_t pid, Round& round);
    void judge(pid_t pid, Round& round);
    void judge_stuck(const std::vector<pid_t>& pids, Round& round);
    void take(Watched now, Round& round);

    std::set<std::string> programs_;
    std::map<pid_t, Watched> processes_;
};

}  // namespace unknot::cli
