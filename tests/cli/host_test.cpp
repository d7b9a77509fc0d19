// SPDX-License-Identifier: Apache-2.0
// The doctor on a whole host: order, selection, width, names of containers, reports that were asked for.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "cli/read/cgroup.h"
#include "cli/say/doctor_output.h"
#include "tests/cli/unknot_command.h"

namespace unknot::test {
namespace {

const Variables tcmalloc = {{"LD_PRELOAD", "libtcmalloc.so.4"}, {"TCMALLOC_STACKTRACE_METHOD", ""}};

std::vector<std::string> lines_of(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

std::size_t row_of(const std::vector<std::string>& lines, const Victim& victim) {
    for (std::size_t i = 0; i < lines.size(); ++i) {
        std::istringstream words(lines[i]);
        std::string pid;
        if (words >> pid && pid == victim.id()) return i;
    }
    return lines.size();
}

TEST(Host, is_listed_with_the_worst_first_and_a_summary) {
    const Victim fine("cli_idle"), risky("cli_idle", tcmalloc);
    const Victim dead("cli_stuck_loading", {}, {"joins", built("libcli_holds_loader_locks.so")});
    const Victim safe("cli_idle", {{"LD_PRELOAD", built("libunknot.so") + ":libtcmalloc.so.4"}});
    const auto result = unknot({"doctor", "--all"});
    EXPECT_EQ(result.code, 3);
    EXPECT_TRUE(result.err.empty()) << "no progress where there is no terminal: " << result.err;
    const auto lines = lines_of(result.out);
    EXPECT_LT(row_of(lines, dead), row_of(lines, risky)) << result.out;
    EXPECT_LT(row_of(lines, risky), row_of(lines, safe)) << result.out;
    EXPECT_LT(row_of(lines, safe), row_of(lines, fine)) << result.out;
    ASSERT_LT(row_of(lines, fine), lines.size());
    EXPECT_NE(lines[row_of(lines, safe)].find("the shim is in mode protect"), std::string::npos) << result.out;
    const auto summary = std::find_if(lines.begin(), lines.end(), [](const std::string& line) {
        return line.find(" processes: ") != std::string::npos && line.find(" deadlocked, ") != std::string::npos;
    });
    EXPECT_NE(summary, lines.end()) << result.out;
}

TEST(Host, is_narrowed_to_the_verdicts_that_are_asked_for) {
    const Victim fine("cli_idle"), risky("cli_idle", tcmalloc);
    const auto result = unknot({"doctor", "--all", "--only", "at-risk,deadlocked"});
    EXPECT_TRUE(result.code == 1 || result.code == 3);
    const auto lines = lines_of(result.out);
    EXPECT_LT(row_of(lines, risky), lines.size());
    EXPECT_EQ(row_of(lines, fine), lines.size());
    const auto json = json_of(unknot({"doctor", "--json", "--only", "not-affected", fine.id(), risky.id()}));
    ASSERT_EQ(json.size(), 1u);
    EXPECT_EQ(json[0]["pid"], fine.pid());
}

TEST(Host, is_listed_as_wide_as_the_terminal) {
    const Victim risky("cli_idle", tcmalloc);
    for (const auto& line : lines_of(unknot({"doctor", "--all", "--only", "at-risk"}, {{"COLUMNS", "72"}}).out)) {
        const bool is_summary = line.find(" processes: ") != std::string::npos;
        if (is_summary || line.find(" may not be read") != std::string::npos) continue;
        EXPECT_LE(line.size(), 72u) << line;
    }
}

// The name of a container may be long: it leaves the reason room, where there is any.
TEST(Host, is_listed_with_reasons_beside_long_names) {
    cli::Examination dead;
    dead.pid = 4194304;
    dead.name = "fifteen_letters";
    dead.place = std::string(70, 'x') + ".service";
    dead.facts.allocator.is_libc = true;
    dead.facts.cycle = Cycle::waits_under_lock;
    dead.judgement = judge(dead.facts);
    const auto table = [&](const char* width) {
        setenv("COLUMNS", width, 1);
        testing::internal::CaptureStdout();
        cli::print_table({dead}, {}, cli::Tally({dead}));
        std::fflush(stdout);
        unsetenv("COLUMNS");
        return lines_of(testing::internal::GetCapturedStdout());
    };
    EXPECT_NE(table("0")[1].find(dead.place), std::string::npos) << "nothing is cut where nothing is as wide as that";
    for (const auto& [width, reason] :
         {std::pair("120", "a thread that owns a loader"), std::pair("80", "a thread"), std::pair("30", "")}) {
        const auto lines = table(width);
        for (int line : {0, 1}) EXPECT_LE(lines[line].size(), std::strtoul(width, nullptr, 10)) << lines[line];
        EXPECT_NE(lines[1].find(reason), std::string::npos) << lines[1];
    }
}

TEST(Report, is_written_only_where_it_is_asked_for) {
    const Folder folder;
    const Victim dead("cli_stuck_loading", {}, {"joins", built("libcli_holds_loader_locks.so")});
    const auto in_folder = [&](const std::string& options) {
        return process::run({{"sh", "-c", "cd '" + (folder / "") + "' && " + built("unknot") + " doctor " + options}});
    };
    EXPECT_EQ(in_folder(dead.id()).code, 3);
    EXPECT_TRUE(std::filesystem::is_empty(folder / ""));
    EXPECT_EQ(in_folder("--report hang-%p.txt " + dead.id()).code, 3);
    EXPECT_NE(content(folder / ("hang-" + dead.id() + ".txt")).find("pthread_join"), std::string::npos);
}

// The name of a program is its own choice, and a terminal obeys what it is shown.
TEST(Host, is_shown_without_the_control_characters_of_others) {
    const Folder folder;
    const std::string program = folder / "odd\033[31m";
    std::filesystem::copy_file(built("cli_idle"), program);
    const Victim victim(program, tcmalloc);
    for (const auto& arguments : {std::vector<std::string>{"doctor", victim.id()}, {"doctor", "--all"}}) {
        const auto result = unknot(arguments);
        EXPECT_NE(result.out.find("odd?[31m"), std::string::npos) << result.out;
        EXPECT_EQ(result.out.find('\033'), std::string::npos);
    }
}

TEST(Place, is_the_container_or_the_unit_of_a_control_group) {
    const std::string id(64, 'a'), shown = id.substr(0, 12);
    for (const auto& [text, place] : std::vector<std::pair<std::string, std::string>>{
             {"0::/system.slice/nginx.service\n", "nginx.service"},
             {"0::/system.slice/docker-" + id + ".scope\n", "docker " + shown},
             {"12:memory:/docker/" + id + "\n0::/\n", "docker " + shown},
             {"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_34.slice/cri-containerd-" + id +
                  ".scope\n",
              "cri-containerd " + shown},
             {"0::/kubepods/besteffort/pod1234/" + id + "\n", "container " + shown},
             {"0::/machine.slice/libpod-" + id + ".scope/container\n", "libpod " + shown},
             {"0::/lxc.payload.web/init.scope\n", "lxc web"},
             {"0::/user.slice/user-1000.slice/session-2.scope\n", ""},
             {"0::/\n", ""},
             {"0::/a\033[31m.service\n", "a?[31m.service"},
             {"", ""},
             {"::", ""},
             {"nonsense", ""}})
        EXPECT_EQ(cli::place_in(text), place) << text;
}

}  // namespace
}  // namespace unknot::test
