// SPDX-License-Identifier: Apache-2.0
// `unknot check`: does the shim work on this very system? Runs the deadlock without and with it, over an allocator of
// its own that has both edges everywhere and over every known allocator that is installed, and says what was found.
#include <fcntl.h>
#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "cli/check_reproducer.h"
#include "cli/commands.h"
#include "cli/judge/preload.h"
#include "cli/read/page_reader.h"
#include "cli/read/program.h"
#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto quiet = std::chrono::seconds(1);    // nothing counted and next to no time used for so long: it hangs
constexpr std::uint64_t ticks_in_quiet = 5;        // of a hundredth of a second
constexpr auto longest = std::chrono::minutes(2);  // of one reproducer; it takes a second or two

enum class Outcome : std::uint8_t { runs, hangs, no_end, fails };

const char* word_for(Outcome outcome) {
    switch (outcome) {
        case Outcome::runs:
            return "runs";
        case Outcome::hangs:
            return "hangs";
        case Outcome::no_end:
            return "no end";
        case Outcome::fails:
            return "fails";
    }
    return "?";
}

struct Run {
    Outcome outcome = Outcome::fails;
    std::string detail = {};  // why it failed
    std::optional<PageReading> page = {};
};

struct Row {
    std::string name;
    std::string soname;  // empty: libc's malloc, for the fork
    Reproduction what = Reproduction::two_locks;
    bool must_hang = false;  // without the shim, or the reproducer shows nothing
    Run without = {}, with = {};
};

// Memory that a reproducer counts in. Inherited by number, unlike all else of ours.
class Shared {
  public:
    Shared() : descriptor_(static_cast<int>(syscall(SYS_memfd_create, "unknot-check", 0))) {
        if (descriptor_ < 0 || ftruncate(descriptor_, sizeof(SharedProgress)) != 0)
            throw Trouble(fmt::format("memfd_create: {}; nothing was checked", std::strerror(errno)));
        void* place = mmap(nullptr, sizeof(SharedProgress), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
        if (place == MAP_FAILED) throw Trouble(fmt::format("mmap: {}; nothing was checked", std::strerror(errno)));
        progress_ = static_cast<SharedProgress*>(place);
    }
    ~Shared() {
        munmap(progress_, sizeof(SharedProgress));
        close(descriptor_);
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    int descriptor() const { return descriptor_; }
    const SharedProgress& operator*() const { return *progress_; }

  private:
    int descriptor_;
    SharedProgress* progress_ = nullptr;
};

pid_t start(const Row& row, const std::string& preload, const Shared& shared) {
    const std::string what = row.what == Reproduction::two_locks ? "locks" : "fork";
    const std::string self = own_path();
    const std::string number = fmt::format("{}", shared.descriptor());
    const pid_t child = fork();
    if (child < 0) throw Trouble(fmt::format("fork: {}; nothing was checked", std::strerror(errno)));
    if (child > 0) return child;
    setpgid(0, 0);  // ended as a group: the reproducer has a child of its own
    // None of the user's settings: what is checked is the shim as it comes, with both cuts wherever there is an edge.
    for (const char* variable : {"UNKNOT_LOG", "UNKNOT_REPORT", "UNKNOT_ARENA_MAX", "UNKNOT_ARENA_FULL", "UNKNOT_WALK",
                                 "TCMALLOC_STACKTRACE_METHOD", "MALLOC_CONF"})
        unsetenv(variable);
    setenv("UNKNOT_MODE", "protect", 1);
    setenv("LD_PRELOAD", preload.c_str(), 1);
    execl(self.c_str(), "unknot", reproduce_word, what.c_str(), number.c_str(), nullptr);
    _exit(127);
}

struct Signs {
    bool asleep = false;  // every thread
    std::uint64_t ticks = 0;
};

// Of our own child, so it may be read; by name, because an emulator shows no more than the plain files.
Signs signs_of(pid_t pid) {
    Signs signs{.asleep = true};
    std::error_code gone;
    for (const auto& task : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid), gone)) {
        std::ifstream file(task.path() / "stat");
        std::string line;
        std::getline(file, line);
        // "tid (name) state", ten more, then user and system time (proc(5)); the name may hold anything.
        std::istringstream fields(line.substr(std::min(line.size(), line.rfind(')') + 1)));
        std::string state, skipped;
        std::uint64_t user = 0, system = 0;
        fields >> state;
        for (int i = 0; i < 10; ++i) fields >> skipped;
        fields >> user >> system;
        if (state != "S") signs.asleep = false;
        signs.ticks += user + system;
    }
    if (gone) signs.asleep = false;
    return signs;
}

Run watch(pid_t child, const Shared& shared) {
    const Clock::time_point started = Clock::now();
    Clock::time_point moved = started;
    std::uint64_t counted = 0, ticks = 0;
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        const auto now = Clock::now();
        const std::uint64_t counts = (*shared).walks + (*shared).growths;
        const Signs signs = signs_of(child);
        if (counts != counted || signs.ticks > ticks + ticks_in_quiet) {
            moved = now;
            counted = counts;
            ticks = signs.ticks;
        }
        // Not asleep: it waits for a processor, or for a spin lock that looks up now and then.
        const bool hangs = signs.asleep && now - moved > quiet;
        if (hangs || now - started > longest) {
            kill(-child, SIGKILL);
            waitpid(child, &status, 0);
            return {.outcome = hangs ? Outcome::hangs : Outcome::no_end};
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    kill(-child, SIGKILL);  // what it left behind
    Run run;
    if (WIFSIGNALED(status))
        run.detail = fmt::format("killed by signal {}", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        run.detail = fmt::format("exit code {}", WEXITSTATUS(status));
    else if ((*shared).out_of_memory)
        run.detail = "no address space (ulimit -v)";
    else
        run.outcome = Outcome::runs;
    const StatsPage& page = (*shared).page;
    if (std::memcmp(page.magic, stats_magic, sizeof stats_magic) == 0)
        run.page = understand_page(&page, std::min<std::size_t>(sizeof page, page.size));
    return run;
}

Run run_once(const Row& row, const std::string& preload) {
    const Shared shared;
    return watch(start(row, preload, shared), shared);
}

std::vector<Row> rows_here(const Program& self, const std::string& shim, const std::string& own_allocator) {
    std::vector<Row> rows;
    rows.push_back({.name = "the check's own", .soname = own_allocator, .must_hang = true});
    for (const std::string& soname : known_allocators()) {
        PreloadList list;
        list.entries = {shim, soname};
        list.has_allocator = true;
        try {
            check_preload(self, list);
        } catch (const Trouble&) {
            continue;  // not installed
        }
        rows.push_back({.name = soname, .soname = soname});
    }
    rows.push_back(
        {.name = "a fork beside a walk", .soname = "", .what = Reproduction::fork_beside_walk, .must_hang = true});
    return rows;
}

bool is_good(const Row& row) {
    if (row.with.outcome != Outcome::runs || !row.with.page) return false;
    const StatsPage& page = row.with.page->page;
    if (page.probe != Probe::owner_words || page.forwarded != 0) return false;
    if (row.must_hang && row.without.outcome != Outcome::hangs) return false;
    return row.what != Reproduction::two_locks || page.diverted > 0;
}

std::string failure(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        if (is_good(row)) continue;
        if (row.must_hang && row.without.outcome != Outcome::hangs)
            return fmt::format("{}: did not hang without the shim, so that it runs with it shows nothing", row.name);
        if (row.with.outcome != Outcome::runs)
            return fmt::format("{}: {} with the shim{}", row.name, word_for(row.with.outcome),
                               row.with.detail.empty() ? "" : " (" + row.with.detail + ")");
        if (!row.with.page) return fmt::format("{}: the loader did not preload the shim", row.name);
        if (row.with.page->page.probe != Probe::owner_words)
            return "the loader's locks were not found: only walks are protected, not dlopen and dlclose";
        return fmt::format("{}: the shim was not asked", row.name);
    }
    return "";
}

const PageReading* first_page(const std::vector<Row>& rows) {
    for (const Row& row : rows)
        if (row.with.page) return &*row.with.page;
    return nullptr;
}

void say_head(const std::string& shim) {
    fmt::print("unknot {}, {}\nglibc {}\n\n", UNKNOT_VERSION, shim, gnu_get_libc_version());
    fmt::print("{:<26} {:>8} {:>8} {:>10} {:>10} {:>10} {:>10}\n", "allocator", "without", "with", "diverted",
               "deferred", "snapshots", "averted");
    std::fflush(stdout);
}

void say_row(const Row& row) {
    fmt::print("{:<26} {:>8} {:>8}", row.name, word_for(row.without.outcome), word_for(row.with.outcome));
    if (row.what == Reproduction::two_locks && row.with.page) {
        const StatsPage& counts = row.with.page->page;
        fmt::print(" {:>10} {:>10} {:>10} {:>10}", counts.diverted, counts.deferred, counts.walks_from_snapshot,
                   counts.averted);
    }
    fmt::print("\n");
    std::fflush(stdout);
}

void say_verdict(const std::vector<Row>& rows, const std::string& problem) {
    const PageReading* page = first_page(rows);
    const bool found = page != nullptr && page->page.probe == Probe::owner_words;
    fmt::print("\nprobe {}: the loader's write lock and load lock {}\n",
               page == nullptr ? "none" : name_of(page->page.probe), found ? "found" : "not found");
    fmt::print("verdict: {}\n", problem.empty() ? "works on this system" : "DOES NOT WORK HERE: " + problem);
}

void say_json(const std::vector<Row>& rows, const std::string& shim, const std::string& problem) {
    nlohmann::ordered_json json;
    const PageReading* page = first_page(rows);
    json["version"] = UNKNOT_VERSION;
    json["library"] = shim;
    json["library_version"] = page == nullptr ? "" : page->library_version;
    json["glibc"] = gnu_get_libc_version();
    json["probe"] = page == nullptr ? "none" : name_of(page->page.probe);
    for (const Row& row : rows) {
        nlohmann::ordered_json each = {{"name", row.name},
                                       {"without", word_for(row.without.outcome)},
                                       {"with", word_for(row.with.outcome)},
                                       {"good", is_good(row)}};
        if (row.with.page) {
            each["diverted"] = row.with.page->page.diverted;
            each["walks_from_snapshot"] = row.with.page->page.walks_from_snapshot;
        }
        json["rows"].push_back(each);
    }
    json["works"] = problem.empty();
    json["problem"] = problem;
    fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace

int check(const CheckOptions& options) {
    const std::string shim = find_shim_library(options.library);
    const std::string own_allocator = shim.substr(0, shim.rfind('/')) + "/libunknot_check.so";
    if (access(own_allocator.c_str(), R_OK) != 0)
        throw Trouble(fmt::format("{}: {}; it belongs beside libunknot.so; nothing was checked", own_allocator,
                                  std::strerror(errno)));
    if (own_allocator.find_first_of(" :") != std::string::npos)
        throw Trouble(
            fmt::format("{}: LD_PRELOAD cannot hold a path with a space or a colon; nothing was checked", shim));
    std::vector<Row> rows = rows_here(find_program(own_path()), shim, own_allocator);
    if (!options.json) say_head(shim);
    for (Row& row : rows) {
        row.without = run_once(row, row.soname);
        row.with = run_once(row, row.soname.empty() ? shim : shim + ":" + row.soname);
        if (!options.json) say_row(row);
    }
    const std::string problem = failure(rows);
    options.json ? say_json(rows, shim, problem) : say_verdict(rows, problem);
    return problem.empty() ? exit_fine : exit_at_risk;
}

}  // namespace unknot::cli
