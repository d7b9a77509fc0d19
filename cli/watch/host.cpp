// SPDX-License-Identifier: Apache-2.0
#include "cli/watch/host.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <set>
#include <thread>

#include "cli/judge/may_be_stuck.h"
#include "cli/judge/waits.h"
#include "cli/read/kept_files.h"
#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

// What no sign has told of is found after so long.
constexpr auto most_age = std::chrono::minutes(10);
// Most of those that are younger have ended by the next round, or are still starting.
constexpr double least_age_s = 1;
// A look at one that stands still takes a second of waiting.
constexpr std::size_t most_at_once = 8;
constexpr std::size_t longest_name = 15;  // TASK_COMM_LEN, without its zero

double age_s(const Life& life) {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9 -
           static_cast<double>(life.start_time) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// Zero: its maps may not be read.
std::size_t code_of(const Process& process) {
    std::string text;
    try {
        for (const Mapping& mapping : process.mappings())
            // Files alone: a JIT's code grows all the time.
            if (mapping.executable && mapping.path.starts_with('/'))
                text += std::to_string(mapping.start) + mapping.path + (mapping.deleted ? "-" : "+");
    } catch (const NotPermitted&) {
        return 0;
    }
    return std::hash<std::string>()(text);
}

FileAtPath file_at(const std::string& path) {
    struct stat file {};
    if (stat(path.c_str(), &file) != 0) return {};
    return {file.st_dev, file.st_ino, file.st_ctim.tv_sec};
}

FileAtPath library_of(const Process& process, const Examination& found) {
    return found.shim.present ? file_at(process.outside_path(found.shim_library)) : FileAtPath{};
}

Standstill standstill_of(const Process& process, const LoaderLocks& locks) {
    if (!may_be_stuck(process, snapshot_of(process.waits()), locks)) return {};
    Standstill found{true, {}};
    for (const ThreadState& thread : process.threads())
        if (const std::uint64_t address = waited_for(thread); address != 0)
            found.waits.emplace_back(thread.tid, address, waits_for_ever(thread) ? thread.switches : 0);
    return found;
}

// Of one that nobody has looked at yet.
bool stands_still(const Process& process) {
    try {
        const Objects objects = objects_of(process, process.mappings());
        const LibcFacts libc = libc_of(objects);
        const auto locks = find_loader_locks(process, objects, libc.is_static ? 0 : libc.glibc_minor);
        return may_be_stuck(process, snapshot_of(process.waits()), locks);
    } catch (const NotPermitted&) {
        return false;
    }
}

bool says_the_same(const PageReading& a, const PageReading& b) {
    return a.page.mode == b.page.mode && a.page.probe == b.page.probe && a.page.walk_mode == b.page.walk_mode &&
           a.page.flags == b.page.flags && a.both_edges_seen() == b.both_edges_seen();
}

Watched examined(pid_t pid, const Watched* before) {
    Watched now;
    const Process process(pid);
    now.life = process.life();
    now.judged_at = Watched::Clock::now();
    now.code = code_of(process);
    // What happens from here on makes a difference that the next round sees.
    if (before != nullptr) now.standstill = standstill_of(process, before->found.deadlock.locks);
    now.found = examine_process(pid);
    if (now.life != Process(pid).life()) throw ProcessGone("it has become another one");
    now.library = library_of(process, now.found);
    return now;
}

}  // namespace

Host::Host(const std::vector<std::string>& programs) {
    for (const std::string& name : programs) programs_.insert(name.substr(0, longest_name));
}

Host::Look Host::look_at(pid_t pid, Round& round) {
    const Process process(pid);
    if (process.life().address_space_bytes == 0) return Look::none;
    if (!programs_.empty() && !programs_.contains(process.name())) return Look::none;
    const auto at = processes_.find(pid);
    if (at != processes_.end() && at->second.life != process.life()) {
        round.ended.push_back(std::move(at->second));
        processes_.erase(at);
        return Look::anew;
    }
    if (at == processes_.end()) {
        if (age_s(process.life()) < least_age_s) return Look::none;
        return stands_still(process) ? Look::stuck : Look::anew;
    }
    Watched& known = at->second;
    if (known.life.address_space_bytes != process.life().address_space_bytes) {
        if (code_of(process) != known.code) return Look::anew;
        known.life = process.life();
    }
    if (known.is_to_be_judged || Watched::Clock::now() - known.judged_at > most_age) return Look::anew;
    if (!known.found.missing_permission.empty()) return Look::kept;
    if (known.library != library_of(process, known.found)) return Look::anew;
    if (known.found.cure.kind != CureKind::none &&
        process.read<std::uint64_t>(known.found.cure.address).value_or(known.found.cure.now) != known.found.cure.now)
        return Look::anew;
    if (known.found.page) {
        const PageReading page = read_page_again(process, *known.found.page);
        if (!says_the_same(page, *known.found.page)) return Look::anew;
        known.found.page = page;
    }
    const Standstill now = standstill_of(process, known.found.deadlock.locks);
    if (now.any && now != known.standstill) return Look::stuck;
    return known.dead && !now.any ? Look::anew : Look::kept;
}

void Host::take(Watched now, Round& round) {
    const pid_t pid = now.found.pid;
    const auto before = processes_.find(pid);
    const Deadlock& deadlock = now.found.deadlock;
    bool was_dead = false;
    if (before != processes_.end()) {
        was_dead = before->second.dead;
        now.before = before->second.found.judgement.verdict;
        now.counted = std::move(before->second.counted);
    } else if (now.found.page) {
        const auto parent = processes_.find(now.life.parent);
        if (parent != processes_.end() && parent->second.life.runs_the_program_of(now.life))
            for (const CounterRow& row : counter_rows()) now.counted.push_back(now.found.page->page.*row.field);
    }
    now.dead = deadlock.seen || (was_dead && !deadlock.suspicion.empty());
    if (now.dead && !was_dead) round.died.push_back(pid);
    round.judged.push_back(pid);
    processes_.insert_or_assign(pid, std::move(now));
}

void Host::judge(pid_t pid, Round& round) {
    const auto before = processes_.find(pid);
    take(examined(pid, before == processes_.end() ? nullptr : &before->second), round);
}

void Host::judge_stuck(const std::vector<pid_t>& pids, Round& round) {
    std::vector<std::optional<Watched>> found(pids.size());
    std::atomic<std::size_t> next = 0;
    const auto work = [&] {
        for (std::size_t i; (i = next++) < pids.size();) {
            try {
                const auto before = processes_.find(pids[i]);
                found[i] = examined(pids[i], before == processes_.end() ? nullptr : &before->second);
            } catch (const Trouble&) {  // it has ended: the next round tells
            }
        }
    };
    std::vector<std::thread> others;
    while (others.size() + 1 < std::min(pids.size(), most_at_once)) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
    for (auto& each : found)
        if (each) take(std::move(*each), round);
}

Host::Round Host::round(const std::function<bool()>& stop) {
    const KeptFiles kept;  // no longer than a round: what was parsed is large
    Round round;
    std::set<pid_t> alive;
    std::vector<pid_t> stuck;
    for (const pid_t pid : all_processes()) {
        if (stop()) return round;
        if (pid == getpid()) continue;
        try {
            const Look look = look_at(pid, round);
            if (look == Look::anew) judge(pid, round);
            if (look == Look::stuck) stuck.push_back(pid);
            if (look != Look::none) alive.insert(pid);
        } catch (const Trouble&) {  // it is ending
        }
    }
    judge_stuck(stuck, round);
    for (auto at = processes_.begin(); at != processes_.end();) {
        const auto here = at++;
        if (alive.contains(here->first)) continue;
        round.ended.push_back(std::move(here->second));
        processes_.erase(here);
    }
    return round;
}

void Host::judge_next_time(pid_t pid) {
    const auto at = processes_.find(pid);
    if (at != processes_.end()) at->second.is_to_be_judged = true;
}

}  // namespace unknot::cli
