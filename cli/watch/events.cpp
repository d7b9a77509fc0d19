// SPDX-License-Identifier: Apache-2.0
#include "cli/watch/events.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

#include "cli/read/trouble.h"
#include "cli/say/mending.h"
#include "cli/say/schema.h"
#include "cli/say/style.h"
#include "cli/say/words.h"

namespace unknot::cli {
namespace {

using Json = nlohmann::ordered_json;

// As the lines of the library's log begin: UTC, milliseconds.
std::string now() {
    timespec time{};
    clock_gettime(CLOCK_REALTIME, &time);
    std::tm utc{};
    char text[32] = {};
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", gmtime_r(&time.tv_sec, &utc));
    return fmt::format("{}.{:03}Z", text, time.tv_nsec / 1000000);
}

Json begin(const char* event) {
    return {{"schema", schema_version}, {"event", event}, {"time", now()}};
}

Json begin(const char* event, const Examination& found) {
    Json line = begin(event);
    line["pid"] = found.pid;
    line["name"] = found.name;
    line["place"] = found.place;
    return line;
}

void print(const Json& line) {
    const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (std::fflush(stdout) != 0) throw Trouble(fmt::format("stdout: {}", std::strerror(errno)));
}

std::string who(const Examination& found) {
    return fmt::format("process {} ({}{})", found.pid, found.name, found.place.empty() ? "" : ", " + found.place);
}

std::string what_would_help(const Examination& found) {
    if (found.facts.can_be_rescued) return fmt::format("`unknot rescue {}` would bring it back", found.pid);
    return "unknot rescue would refuse: " + sentence(why_not_rescue(found.mending), found.mending);
}

}  // namespace

void Events::say(const std::string& text) const {
    std::string line = harmless(text);
    for (char& c : line)
        if (c == '\n') c = ' ';
    std::fputs(fmt::format("{} unknot[{}]: {}\n", now(), getpid(), line).c_str(), stderr);
}

void Events::judged(const Watched& process) const {
    if (!json_) return;
    const Examination& found = process.found;
    if (process.before == found.judgement.verdict) return;
    Json line = begin("judged", found);
    line["verdict"] = cli::name_of(found.judgement.verdict);
    line["before"] = process.before ? Json(cli::name_of(*process.before)) : Json();
    line["reason"] = main_reason(found);
    if (!found.missing_permission.empty()) line["missing_permission"] = found.missing_permission;
    if (found.shim.present) {
        line["shim"] = {{"mode", name_of(found.shim.mode)}, {"outdated", found.shim_outdated}};
        if (found.page) line["shim"]["version"] = found.page->library_version;
    }
    print(line);
}

void Events::ended(const Watched& process) const {
    if (!json_) return;
    Json line = begin("ended", process.found);
    line["verdict"] = cli::name_of(process.found.judgement.verdict);
    print(line);
}

void Events::deadlocked(const Watched& process, const std::string& report, bool will_be_rescued) const {
    const Examination& found = process.found;
    std::string cycle;
    for (const CycleStep& step : found.deadlock.cycle) cycle += (cycle.empty() ? "" : "; ") + sentence(step);
    say(fmt::format("{}: deadlocked: {}{}{}", who(found), cycle, will_be_rescued ? "" : "; " + what_would_help(found),
                    report.empty() ? "" : "; report: " + report));
    if (!json_) return;
    Json line = begin("deadlocked", found);
    line["cycle"] = Json::array();
    for (const CycleStep& step : found.deadlock.cycle) line["cycle"].push_back(sentence(step));
    line["can_be_rescued"] = found.facts.can_be_rescued;
    line["report"] = report.empty() ? Json() : Json(report);
    print(line);
}

void Events::rescued(const Examination& found, const RescueTried& tried) const {
    const char* result = tried.was_over                        ? "it was over already"
                         : tried.result == RescueResult::moves ? "moves"
                         : tried.result == RescueResult::dead  ? "still dead"
                                                               : "refused";
    say(fmt::format("{}: rescue: {}: {}", who(found), result, tried.account));
    if (!json_) return;
    Json line = begin("rescue", found);
    line["result"] = result;
    line["account"] = tried.account;
    print(line);
}

void Events::round(const Host& host, const OwnCost& cost) const {
    if (!json_) return;
    std::map<Verdict, int> verdicts;
    int unreadable = 0;
    for (const auto& [pid, process] : host.processes())
        ++(process.found.missing_permission.empty() ? verdicts[process.found.judgement.verdict] : unreadable);
    Json line = begin("round");
    line["verdicts"] = Json::object();
    for (const Verdict verdict : every_verdict) line["verdicts"][cli::name_of(verdict)] = verdicts[verdict];
    line["unreadable"] = unreadable;
    line["seconds"] = cost.round_s;
    line["cpu_seconds"] = cost.cpu_s;
    line["resident_bytes"] = cost.resident_bytes;
    print(line);
}

}  // namespace unknot::cli
