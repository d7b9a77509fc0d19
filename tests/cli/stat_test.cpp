// SPDX-License-Identifier: Apache-2.0
// The statistics page: real ones, damaged ones, newer and older ones; and what monitoring reads.
#include <cstring>
#include <memory>
#include <optional>
#include <sstream>

#include "cli/read/page_reader.h"
#include "cli/read/trouble.h"
#include "tests/cli/unknot_command.h"

namespace unknot::test {
namespace {

process::Result stat_of_page(const std::string& kind, const std::string& format = "json") {
    const Victim victim("cli_idle", {{"LD_PRELOAD", built("libcli_fake_page.so")}, {"UNKNOT_TEST_PAGE", kind}});
    return unknot({"stat", "--format", format, victim.id()});
}

void expect_refused(const std::string& kind, const std::string& why) {
    const process::Result result = stat_of_page(kind);
    EXPECT_EQ(result.code, 2) << kind;
    EXPECT_TRUE(result.out.empty()) << result.out;
    EXPECT_NE(result.err.find(why), std::string::npos) << result.err;
}

Variables shim_and(const std::string& allocator) {
    return {{"LD_PRELOAD", built("libunknot.so") + ":" + allocator}, {"UNKNOT_MODE", ""}};
}

TEST(Stat, refuses_what_is_not_a_page) {
    expect_refused("blank", "has not started");
    expect_refused("noise", "not a statistics page");
    expect_refused("absurd size", "makes no sense");
    expect_refused("no version", "makes no sense");
}

TEST(Stat, reads_a_newer_page_as_far_as_it_knows_it) {
    const auto json = only_of(json_of(stat_of_page("newer")));
    EXPECT_EQ(json["counters"]["walks"], 11);
    EXPECT_EQ(json["counters"].size(), stats_counters);
    EXPECT_EQ(json["mode"], "unknown");
    EXPECT_NE(json["notes"].dump().find("newer"), std::string::npos);
}

TEST(Stat, reads_an_older_page_as_far_as_it_goes) {
    const auto json = only_of(json_of(stat_of_page("older")));
    EXPECT_EQ(json["counters"].size(), 12u);
    EXPECT_EQ(json["counters"]["diverted"], 22);
    EXPECT_FALSE(json["counters"].contains("arena_live_bytes"));
}

TEST(Stat, prints_no_control_characters_of_another_process) {
    EXPECT_EQ(stat_of_page("good", "text").out.find('\033'), std::string::npos);
}

TEST(Stat, says_what_the_witness_saw) {
    const process::Result result = stat_of_page("both edges", "text");
    EXPECT_NE(result.out.find("both edges seen: this process can deadlock"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("libunwind.so.8"), std::string::npos);
    EXPECT_NE(result.out.find(std::string(64, 'x') + "+0x10, 3 times"), std::string::npos);
}

TEST(Stat, shows_no_gauge_below_zero) {
    StatsPage page{};
    std::memcpy(page.magic, stats_magic, sizeof page.magic);
    page.version = stats_version;
    page.size = sizeof page;
    page.counters = stats_counters;
    page.arena_live_bytes = static_cast<std::uint64_t>(-4096);
    page.diverted = static_cast<std::uint64_t>(-1);  // a counter is what it is
    const auto reading = cli::understand_page(&page, sizeof page);
    EXPECT_EQ(reading.page.arena_live_bytes, 0u);
    EXPECT_EQ(reading.page.diverted, static_cast<std::uint64_t>(-1));
}

// Every prefix of a page, and bytes without any sense, are refused or understood, never believed blindly.
TEST(Stat, understands_or_refuses_any_bytes) {
    StatsPage page{};
    std::memcpy(page.magic, stats_magic, sizeof page.magic);
    page.version = stats_version;
    page.size = sizeof page;
    page.counters = stats_counters;
    for (std::size_t size = 0; size <= sizeof page; ++size) {
        try {
            const auto reading = cli::understand_page(&page, size);
            EXPECT_GE(size, 64u);
            EXPECT_LE(reading.page.counters, (size - 64) / 8);
        } catch (const cli::Trouble&) {
            EXPECT_LT(size, 64u);
        }
    }
    std::uint64_t state = 1;
    for (int i = 0; i < 2000; ++i) {
        StatsPage noisy = page;
        auto* bytes = reinterpret_cast<unsigned char*>(&noisy);
        for (std::size_t at = 8; at < sizeof noisy; at += 1 + state % 64) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            bytes[at] = static_cast<unsigned char>(state >> 56);
        }
        try {
            const auto reading = cli::understand_page(&noisy, sizeof noisy);
            EXPECT_LE(reading.page.counters, stats_counters);
            EXPECT_LE(reading.under_loader_lock.size(), witness_records);
        } catch (const cli::Trouble&) {
        }
    }
}

TEST(Stat, reads_the_shim_of_a_living_process) {
    const Victim victim("cli_idle", shim_and("libtcmalloc.so.4"));
    const auto json = only_of(json_of(unknot({"stat", "--json", victim.id()})));
    EXPECT_EQ(json["mode"], "protect");
    EXPECT_EQ(json["allocator"], "tcmalloc");
    EXPECT_EQ(json["page_version"], stats_version);
    EXPECT_EQ(json["counters"].size(), stats_counters);
}

TEST(Stat, shows_diverted_allocations_and_their_rate) {
    Victim victim("phdr_deadlock", shim_and("libtcmalloc.so.4"), {"malloc", "100000000"});
    ASSERT_TRUE(victim.until([&] {
        return only_of(json_of(unknot({"stat", "--json", victim.id()})))["counters"]["diverted"] > 0;
    }));
    // On a busy machine the victim may sleep through all rounds of a watch: then the next watch will tell.
    EXPECT_TRUE(victim.until([&] {
        const auto result = unknot({"stat", "--json", "--watch", "0.2", "--count", "3", victim.id()});
        std::istringstream lines(result.out);
        std::string line;
        std::vector<nlohmann::json> rounds;
        while (std::getline(lines, line)) rounds.push_back(only_of(nlohmann::json::parse(line)));
        if (rounds.size() != 3) return false;
        EXPECT_FALSE(rounds[0].contains("per_second"));
        for (int i : {1, 2}) {
            const bool more = rounds[i]["counters"]["diverted"] > rounds[i - 1]["counters"]["diverted"];
            EXPECT_EQ(rounds[i]["per_second"]["diverted"] > 0, more) << result.out;
        }
        return rounds[2]["per_second"]["diverted"] > 0;
    }));
}

TEST(Stat, ends_its_watch_with_the_process) {
    auto victim = std::make_unique<Victim>("cli_idle", shim_and("libtcmalloc.so.4"));
    process::Child stat({{built("unknot"), "stat", "--watch", "0.1", victim->id()}},
                        {std::chrono::minutes(10), std::chrono::minutes(10)});
    while (stat.out().find("walks") == std::string::npos) ASSERT_FALSE(stat.look(std::chrono::milliseconds(20)));
    victim.reset();
    std::optional<process::Result> result;
    while (!(result = stat.look(std::chrono::milliseconds(100)))) {
    }
    EXPECT_EQ(result->code, 0) << result->err;
}

TEST(Stat, lists_only_processes_with_the_shim) {
    const Victim with("cli_idle", shim_and("libtcmalloc_minimal.so.4")), without("cli_idle");
    const auto json = json_of(unknot({"stat", "--all", "--json"}));
    bool seen = false;
    for (const auto& row : json) {
        seen = seen || row["pid"] == with.pid();
        EXPECT_NE(row["pid"], without.pid());
    }
    EXPECT_TRUE(seen);
}

TEST(Stat, names_the_process_without_the_shim) {
    const Victim victim("cli_idle");
    const process::Result result = unknot({"stat", victim.id()});
    EXPECT_EQ(result.code, 2);
    EXPECT_NE(result.err.find("not loaded"), std::string::npos);
}

TEST(OpenMetrics, passes_promtool) {
    const Folder folder;
    if (process::run({{"sh", "-c", "command -v promtool"}}).code != 0)
        GTEST_SKIP() << "promtool (package prometheus) is missing";
    const Victim one("cli_idle", shim_and("libtcmalloc.so.4")), two("cli_idle", shim_and(UNKNOT_MIMALLOC));
    const process::Result metrics = unknot({"stat", "--format", "openmetrics", one.id(), two.id()});
    EXPECT_EQ(metrics.code, 0);
    EXPECT_TRUE(metrics.out.ends_with("# EOF\n"));
    const auto check = process::run({{"sh", "-c", "\"$1\" stat --format openmetrics $2 $3 | promtool check metrics",
                                      "sh", built("unknot"), one.id(), two.id()}});
    EXPECT_EQ(check.code, 0) << check.out << check.err << metrics.out;
    EXPECT_NE(metrics.out.find("unknot_diverted_total{pid=\"" + one.id() + "\""), std::string::npos);
}

}  // namespace
}  // namespace unknot::test
