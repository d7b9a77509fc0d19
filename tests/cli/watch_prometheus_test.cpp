// SPDX-License-Identifier: Apache-2.0
// The real Prometheus scrapes the watcher beside a protected process, one at risk and a dead one.
#include <fstream>

#include "cli/watch/exposition.h"
#include "tests/cli/dead_process.h"
#include "tests/cli/watched_host.h"

namespace unknot::test {
namespace {

class Prometheus {
  public:
    Prometheus(const Folder& folder, int scraped)
        : port_(free_port()), server_({arguments(folder, port_, scraped), {}}, patient) {}

    // The value of the only series that the query, without blanks or signs, finds; nullopt: there is none, or several.
    std::optional<double> value_of(const std::string& query) const {
        const auto json = answer("/api/v1/query?query=" + query);
        const auto& found = json.value(nlohmann::json::json_pointer("/data/result"), nlohmann::json::array());
        if (found.size() != 1) return std::nullopt;
        return std::stod(found[0].at("value").at(1).get<std::string>());
    }
    std::string type_of(const std::string& family) const {
        const auto json = answer("/api/v1/metadata?metric=" + family);
        return json.value(nlohmann::json::json_pointer("/data/" + family + "/0/type"), std::string());
    }
    bool until(const std::function<bool()>& seen) {
        while (!seen())
            if (server_.look(std::chrono::milliseconds(200))) return false;
        return true;
    }
    std::string err() const { return server_.err(); }

  private:
    nlohmann::json answer(const std::string& path) const {
        const auto json = nlohmann::json::parse(fetched(port_, path), nullptr, false);
        return json.is_object() ? json : nlohmann::json::object();
    }
    static std::vector<std::string> arguments(const Folder& folder, int port, int scraped) {
        std::ofstream(folder / "prometheus.yml")
            << "global: {scrape_interval: 1s}\n"
            << "scrape_configs:\n- job_name: unknot\n  static_configs: [{targets: ['127.0.0.1:" << scraped << "']}]\n";
        return {"prometheus", "--config.file=" + (folder / "prometheus.yml"),
                "--storage.tsdb.path=" + (folder / "data"), "--web.listen-address=127.0.0.1:" + std::to_string(port)};
    }

    int port_;
    process::Child server_;
};

TEST(WatchForPrometheus, is_scraped_beside_a_protected_a_risky_and_a_dead_process) {
    if (!cli::Exposition::is_there()) GTEST_SKIP() << "built without prometheus-cpp: watch has no endpoint";
    if (process::run({{"sh", "-c", "command -v prometheus"}}).code != 0) GTEST_SKIP() << "prometheus is not installed";
    const Folder folder;
    const Victim safe(copied(folder, "cli_idle", "safe"),
                      {{"LD_PRELOAD", built("libunknot.so") + ":libtcmalloc.so.4"}, {"UNKNOT_MODE", ""}});
    const Victim risky(copied(folder, "cli_idle", "risky"), bare_tcmalloc);
    Victim dead(copied(folder, "cli_checked_deadlock", "dead"), bare_tcmalloc, {process::certain_shape, "11"},
                Ready::never);
    ASSERT_TRUE(when_stuck(dead, dead.pid())) << "it ended instead of hanging";
    const Watcher watcher({});
    Prometheus prometheus(folder, watcher.port());
    const auto found = [&](const std::string& name, const std::string& verdict) {
        return prometheus.value_of("unknot_watch_processes{program=\"" + own_name(name) + "\",verdict=\"" + verdict +
                                   "\"}") == std::optional<double>(1);
    };
    EXPECT_TRUE(prometheus.until([&] {
        return found("safe", "protected") && found("risky", "at%20risk") && found("dead", "deadlocked");
    })) << prometheus.err()
        << watcher.err();
    EXPECT_EQ(prometheus.value_of("up{job=\"unknot\"}"), std::optional<double>(1));
    EXPECT_EQ(prometheus.value_of("unknot_watch_deadlocks_total{program=\"" + own_name("dead") + "\"}"),
              std::optional<double>(1));
    EXPECT_EQ(prometheus.value_of("unknot_watch_shim_processes{program=\"" + own_name("safe") + "\",mode=\"protect\"}"),
              std::optional<double>(1));
    EXPECT_EQ(prometheus.type_of("unknot_averted_total"), "counter");
    EXPECT_EQ(prometheus.type_of("unknot_waiting_bytes"), "gauge");
    EXPECT_EQ(prometheus.type_of("unknot_watch_deadlocks_total"), "counter");
}

}  // namespace
}  // namespace unknot::test
