// SPDX-License-Identifier: Apache-2.0
#include "cli/check_run.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>

#include "cli/judge/preload.h"
#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto quiet = std::chrono::seconds(1);    // nothing counted and next to no time used for so long: it hangs
constexpr std::uint64_t ticks_in_quiet = 5;        // of a hundredth of a second
constexpr auto longest = std::chrono::minutes(2);  // of one reproducer; it takes a second or two

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

pid_t start(Reproduction reproduction, const std::string& preload, const Shared& shared) {
    const std::string what = reproduction == Reproduction::two_locks ? "locks" : "fork";
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

// Of our own child. Whatever cannot be read of it is no sign of a hang.
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

}  // namespace

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

Run run_reproducer(Reproduction what, const std::string& preload) {
    const Shared shared;
    return watch(start(what, preload, shared), shared);
}

}  // namespace unknot::cli
