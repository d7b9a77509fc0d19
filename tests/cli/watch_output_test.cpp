// SPDX-License-Identifier: Apache-2.0
// `unknot watch`: where it says what it finds, what it refuses, and that it ends.
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "tests/cli/dead_process.h"
#include "tests/cli/watched_host.h"

namespace unknot::test {
namespace {

class WatchOutput : public WithWatch {};

TEST_F(WatchOutput, writes_a_file_that_is_whole_whenever_it_is_read) {
    const Folder folder;
    std::filesystem::create_directory(folder / "metrics");
    const std::string file = folder / "metrics/unknot.prom";
    Watcher watcher({"--textfile", file});
    ASSERT_TRUE(watcher.until([&](const Metrics&) { return std::filesystem::exists(file); })) << watcher.err();
    double last = 0;
    ASSERT_TRUE(watcher.until([&](const Metrics&) {
        const std::string text = content(file);
        EXPECT_NE(text.find("\nunknot_watch_build_info{version=\"" UNKNOT_VERSION "\"} 1\n"), std::string::npos)
            << text;
        last = std::max(last, sum_of(metrics_in(text), "unknot_watch_rounds_total", {}).value_or(0));
        return last > 5;
    })) << watcher.err();
    EXPECT_EQ(watcher.end_with(SIGTERM).code, 0);
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator(folder / "metrics")) ++files;
    EXPECT_EQ(files, 1u) << "something was left beside it";
    const auto checked =
        process::run({{"sh", "-c", "command -v promtool >/dev/null || exit 77; promtool check metrics <" + file}});
    if (checked.code == 77) GTEST_SKIP() << "promtool, of prometheus, is not installed";
    EXPECT_EQ(checked.code, 0) << checked.out << checked.err;
}

TEST_F(WatchOutput, prints_what_happens_as_lines_of_json) {
    const Folder folder;
    const Victim risky(copied(folder, "cli_idle", "json"), bare_tcmalloc);
    ASSERT_EQ(usleep(1100000), 0);  // younger ones are left for the next round
    const process::Result result = unknot({"watch", "--json", "--count", "2", "--interval", "0.3"});
    EXPECT_EQ(result.code, 0) << result.err;
    std::istringstream lines(result.out);
    int found = 0, seen_rounds = 0;
    for (std::string line; std::getline(lines, line);) {
        const auto json = nlohmann::json::parse(line, nullptr, false);
        ASSERT_FALSE(json.is_discarded()) << line;
        EXPECT_EQ(json["schema"], 1);
        if (json["event"] == "judged" && json["pid"] == risky.pid()) {
            ++found;
            EXPECT_EQ(json["verdict"], "at risk");
            EXPECT_TRUE(json["before"].is_null());
        }
        if (json["event"] != "round") continue;
        ++seen_rounds;
        EXPECT_GE(json["verdicts"]["at risk"], 1);
    }
    EXPECT_EQ(found, 1) << "once: it has not changed";
    EXPECT_EQ(seen_rounds, 2);
}

void expect_refused(std::vector<std::string> arguments, const std::string& why) {
    arguments.insert(arguments.begin(), "watch");
    const process::Result result = unknot(arguments);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_NE(result.err.find(why), std::string::npos) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_TRUE(result.out.empty()) << result.out;
}

TEST_F(WatchOutput, says_in_one_line_what_cannot_be) {
    const Folder folder;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(listen(fd, 1), 0);
    ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    expect_refused({"--listen", "127.0.0.1:" + std::to_string(ntohs(address.sin_port))}, "Address already in use");
    close(fd);
    expect_refused({"--listen", "nowhere"}, "it is no ADDRESS:PORT");
    expect_refused({"--listen", "192.0.2.1:9464"}, "Cannot assign requested address");
    expect_refused({"--textfile", folder / "missing/unknot.prom"}, "No such file or directory");
    expect_refused({"--interval", "often"}, "--interval");
    expect_refused({"--interval", "0"}, "--interval");
    expect_refused({"--program", ""}, "--program");
    expect_refused({"--rescue-interval", "5"}, "--rescue");
    expect_refused({"--", "true"}, "watch takes no command");
}

TEST_F(WatchOutput, ends_with_0_when_it_is_told_to) {
    for (const int signal : {SIGTERM, SIGINT}) {
        Watcher watcher({});
        ASSERT_TRUE(watcher.until([](const Metrics& now) { return !now.empty(); }));
        const process::Result result = watcher.end_with(signal);
        EXPECT_EQ(process::describe(result), "exited 0") << result.err;
    }
}

}  // namespace
}  // namespace unknot::test
