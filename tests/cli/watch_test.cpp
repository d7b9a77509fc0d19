// SPDX-License-Identifier: Apache-2.0
// `unknot watch` beside real processes: what it finds, and what it does.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <sstream>

#include "tests/cli/dead_process.h"
#include "tests/cli/watched_host.h"

namespace unknot::test {
namespace {

const Variables shimmed = {{"LD_PRELOAD", built("libunknot.so") + ":libtcmalloc.so.4"},
                           {"TCMALLOC_STACKTRACE_METHOD", ""},
                           {"UNKNOT_MODE", ""}};
constexpr const char* rounds = "11";  // the one that hangs, and ten more

std::string program(const std::string& name) {
    return "program=\"" + own_name(name) + "\"";
}

bool has(const Metrics& metrics, const std::string& family, const std::vector<std::string>& labels, double value) {
    return sum_of(metrics, family, labels) == std::optional<double>(value);
}

bool is_found(const Metrics& metrics, const std::string& name, const std::string& verdict) {
    return has(metrics, "unknot_watch_processes", {program(name), "verdict=\"" + verdict + "\""}, 1);
}

class Watch : public WithWatch {};

TEST_F(Watch, tells_the_protected_from_those_at_risk_and_the_dead) {
    const Folder folder;
    const Victim safe(copied(folder, "cli_idle", "safe"), shimmed);
    const Victim risky(copied(folder, "cli_idle", "risky"), bare_tcmalloc);
    Victim dead(copied(folder, "cli_checked_deadlock", "dead"), bare_tcmalloc, {process::certain_shape, rounds},
                Ready::never);
    ASSERT_TRUE(when_stuck(dead, dead.pid())) << "it ended instead of hanging";
    Watcher watcher({"--report", folder / "report-%p.txt"});
    ASSERT_TRUE(watcher.until([&](const Metrics& now) {
        return is_found(now, "safe", "protected") && is_found(now, "risky", "at risk") &&
               is_found(now, "dead", "deadlocked");
    })) << watcher.err();
    const Metrics now = watcher.metrics();
    EXPECT_TRUE(has(now, "unknot_watch_shim_processes",
                    {program("safe"), "mode=\"protect\"", "calibration=\"owner_words\"", "outdated=\"false\"",
                     "version=\"" UNKNOT_VERSION "\""},
                    1));
    EXPECT_FALSE(sum_of(now, "unknot_watch_shim_processes", {program("risky")}));
    EXPECT_TRUE(has(now, "unknot_watch_deadlocks_total", {program("dead")}, 1));
    EXPECT_TRUE(has(now, "unknot_watch_deadlocks_total", {program("risky")}, 0));
    EXPECT_FALSE(sum_of(now, "unknot_watch_rescues_total", {})) << "nothing is rescued unasked";
    EXPECT_GT(sum_of(now, "unknot_watch_resident_bytes", {}).value_or(0), 1e6);
    EXPECT_GT(sum_of(now, "unknot_watch_cpu_seconds_total", {}).value_or(0), 0);

    // Once, however many rounds go by, with the cycle and with what would help.
    const double round = sum_of(now, "unknot_watch_rounds_total", {}).value_or(0);
    ASSERT_TRUE(watcher.until(
        [&](const Metrics& later) { return sum_of(later, "unknot_watch_rounds_total", {}).value_or(0) > round + 3; }));
    EXPECT_TRUE(has(watcher.metrics(), "unknot_watch_deadlocks_total", {program("dead")}, 1));
    const std::string begin = "process " + dead.id() + " (" + own_name("dead") + "): deadlocked: thread ";
    const std::string err = watcher.err();
    const std::size_t at = err.find(begin);
    ASSERT_NE(at, std::string::npos) << err;
    const std::string line = err.substr(at, err.find('\n', at) - at);
    EXPECT_EQ(err.find(begin, at + 1), std::string::npos) << err;
    EXPECT_NE(line.find("_dl_load_write_lock"), std::string::npos) << line;
    const std::string rescue = process::rescue_is_proved ? "`unknot rescue " + dead.id() + "` would bring it back"
                                                         : "unknot rescue would refuse: what glibc 2.";
    EXPECT_NE(line.find(rescue), std::string::npos) << line;
    EXPECT_NE(line.find("report: " + (folder / "report-" + dead.id() + ".txt")), std::string::npos) << line;
    EXPECT_NE(content(folder / "report-" + dead.id() + ".txt").find("Loader locks"), std::string::npos);
}

TEST_F(Watch, gives_every_family_its_help_and_its_type) {
    Watcher watcher({});
    ASSERT_TRUE(watcher.until([](const Metrics& now) { return sum_of(now, "unknot_watch_rounds_total", {}) >= 1.0; }));
    std::istringstream lines(scrape(watcher.port()));
    std::string help, type;
    int families = 0;
    for (std::string line; std::getline(lines, line);) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        std::istringstream words(line);
        std::string first, second, third;
        words >> first >> second >> third;
        if (second == "HELP") help = third;
        if (second == "TYPE") type = third, ++families;
        if (line.rfind("unknot_", 0) != 0) continue;
        const std::string family = line.substr(0, line.find_first_of("{ "));
        EXPECT_EQ(help, family);
        EXPECT_EQ(type, family);
    }
    EXPECT_GE(families, 34);  // 24 counters of the page, and its own
    const std::string text = scrape(watcher.port());
    EXPECT_NE(text.find("# TYPE unknot_averted_total counter\n"), std::string::npos);
    EXPECT_NE(text.find("# TYPE unknot_waiting_bytes gauge\n"), std::string::npos);
    EXPECT_NE(text.find("# TYPE unknot_arena_committed_bytes gauge\n"), std::string::npos);
}

TEST_F(Watch, goes_on_counting_where_a_process_has_ended) {
    const Folder folder;
    const std::string path = copied(folder, "cli_checked_deadlock", "counts");
    const std::vector<std::string> labels = {program("counts")};
    const auto diverted = [&](const Metrics& now) { return sum_of(now, "unknot_diverted_total", labels).value_or(0); };
    Watcher watcher({});
    double first = 0;
    {
        const Victim victim(path, shimmed, {process::certain_shape, "1000000"});
        ASSERT_TRUE(watcher.until([&](const Metrics& now) { return diverted(now) > 0; })) << watcher.err();
    }
    ASSERT_TRUE(watcher.until([&](const Metrics& now) {
        first = std::max(first, diverted(now));
        return !sum_of(now, "unknot_watch_processes", labels);
    }));
    EXPECT_EQ(diverted(watcher.metrics()), first) << "it has forgotten what it had counted";
    EXPECT_FALSE(sum_of(watcher.metrics(), "unknot_arena_committed_bytes", labels)) << "a gauge of nobody";
    const Victim another(path, shimmed, {process::certain_shape, "1000000"});
    EXPECT_TRUE(watcher.until([&](const Metrics& now) { return diverted(now) > first; })) << watcher.err();
}

TEST_F(Watch, counts_what_a_fork_was_born_with_once) {
    const Folder folder;
    Victim parent(copied(folder, "cli_forks_after_walk", "forks"), shimmed);
    const auto diverted = [](const std::string& pid) {
        return only_of(json_of(unknot({"stat", "--json", pid})))["counters"]["diverted"].get<double>();
    };
    const double of_parent = diverted(parent.id());
    ASSERT_GE(of_parent, 1000);
    ASSERT_GE(diverted(std::to_string(child_of(parent))), 1000) << "it was not born with them: this test tests nothing";
    Watcher watcher({});
    ASSERT_TRUE(watcher.until([&](const Metrics& now) {
        return has(now, "unknot_watch_processes", {program("forks"), "verdict=\"protected\""}, 2);
    })) << watcher.err();
    EXPECT_TRUE(has(watcher.metrics(), "unknot_diverted_total", {program("forks")}, of_parent));
}

TEST_F(Watch, has_a_series_for_every_process_where_that_is_wanted) {
    const Folder folder;
    const std::string path = copied(folder, "cli_idle", "each");
    const Victim one(path, shimmed);
    Watcher watcher({"--per-process"});
    {
        const Victim other(path, shimmed);
        EXPECT_TRUE(watcher.until([&](const Metrics& now) {
            return sum_of(now, "unknot_walks_total", {"pid=\"" + one.id() + "\""}) &&
                   sum_of(now, "unknot_walks_total", {"pid=\"" + other.id() + "\""});
        })) << watcher.err();
    }
    EXPECT_TRUE(watcher.until([&](const Metrics& now) {
        return sum_of(now, "unknot_walks_total", {program("each")}) &&
               has(now, "unknot_watch_processes", {program("each")}, 1);
    }));
    std::size_t series = 0;
    for (const auto& [name, value] : watcher.metrics())
        if (name.rfind("unknot_walks_total{", 0) == 0 && name.find(program("each")) != std::string::npos) ++series;
    EXPECT_EQ(series, 1u) << "the series of a process ends with it";
}

TEST_F(Watch, rescues_what_it_finds_dead_where_that_is_wanted) {
    const Folder folder;
    Victim victim(copied(folder, "cli_checked_deadlock", "rescue"), bare_tcmalloc, {process::certain_shape, rounds},
                  Ready::never, hung_for_a_while);
    ASSERT_TRUE(when_stuck(victim, victim.pid())) << "it ended instead of hanging";
    // This one alone: others hang beside it on purpose.
    Watcher watcher({"--rescue", "--rescue-interval", "0", "--program", own_name("rescue")});
    EXPECT_TRUE(watcher.until([&](const Metrics& now) {
        return has(now, "unknot_watch_rescues_total", {program("rescue"), "result=\"moves\""}, 1);
    })) << watcher.err();
    EXPECT_TRUE(watcher.until_it_says("process " + victim.id() + " (" + own_name("rescue") + "): rescue: moves"))
        << watcher.err();
    EXPECT_TRUE(has(watcher.metrics(), "unknot_watch_deadlocks_total", {program("rescue")}, 1));
    const process::Result result = victim.end();
    EXPECT_TRUE(result.succeeded()) << process::describe(result) << "\n" << result.out << result.err;
    EXPECT_NE(result.out.find(", 0 bad"), std::string::npos) << result.out;
}

TEST_F(Watch, says_why_a_rescue_would_be_refused) {
    const Victim dead("cli_stuck_loading", {}, {"joins", built("libcli_holds_loader_locks.so")});
    Watcher watcher({});
    EXPECT_TRUE(watcher.until_it_says("process " + dead.id() + " (cli_stuck_loadi): deadlocked: ")) << watcher.err();
    EXPECT_TRUE(watcher.until_it_says("; unknot rescue would refuse: its ")) << watcher.err();
}

// What changes is judged anew; immunity is one word of its memory, and nothing else tells of it.
TEST_F(Watch, sees_that_a_process_was_made_immune) {
    const Folder folder;
    const Victim risky(copied(folder, "cli_idle", "immune"), bare_tcmalloc);
    Watcher watcher({});
    ASSERT_TRUE(watcher.until([&](const Metrics& now) { return is_found(now, "immune", "at risk"); }));
    ASSERT_EQ(unknot({"immunise", risky.id()}).code, 0);
    EXPECT_TRUE(watcher.until([&](const Metrics& now) {
        return sum_of(now, "unknot_watch_processes", {program("immune")}) && !is_found(now, "immune", "at risk");
    })) << watcher.err();
}

TEST_F(Watch, sees_that_the_library_was_replaced) {
    const Folder folder;
    std::filesystem::copy_file(built("libunknot.so"), folder / "libunknot.so");
    const Victim old(copied(folder, "cli_idle", "old"),
                     {{"LD_PRELOAD", (folder / "libunknot.so") + ":libtcmalloc.so.4"}, {"UNKNOT_MODE", ""}});
    const auto is_outdated = [](const Metrics& now, const char* value) {
        return has(now, "unknot_watch_shim_processes", {program("old"), std::string("outdated=\"") + value + "\""}, 1);
    };
    Watcher watcher({});
    ASSERT_TRUE(watcher.until([&](const Metrics& now) { return is_outdated(now, "false"); })) << watcher.err();
    std::filesystem::copy_file(built("libunknot_walks.so"), folder / "new");
    std::filesystem::rename(folder / "new", folder / "libunknot.so");
    EXPECT_TRUE(watcher.until([&](const Metrics& now) { return is_outdated(now, "true"); })) << watcher.err();
}

}  // namespace
}  // namespace unknot::test
