// SPDX-License-Identifier: Apache-2.0
// The doctor's findings for programs: docs/unknot.schema.json.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/say/doctor_output.h"
#include "cli/say/schema.h"
#include "cli/say/stat_output.h"
#include "cli/say/words.h"

namespace unknot::cli {
namespace {

using Json = nlohmann::ordered_json;

const char* name_of_source(OwnerSource source) {
    switch (source) {
        case OwnerSource::recorded:
            return "recorded";
        case OwnerSource::joined:
            return "joined";
        case OwnerSource::itself:
            return "itself";
        case OwnerSource::nobody:
            return "nobody";
        case OwnerSource::inferred:
            return "inferred";
        case OwnerSource::absent:
            return "absent";
        case OwnerSource::interrupted:
            return "interrupted";
    }
    return "unknown";
}

Json json_of(const Deadlock& deadlock) {
    Json json;
    json["seen"] = deadlock.seen;
    json["samples"] = deadlock.samples;
    if (!deadlock.cannot_tell.empty()) json["cannot_tell"] = deadlock.cannot_tell;
    json["loader_locks"] = Json::array();
    for (const LoaderLock& lock : deadlock.locks.locks)
        json["loader_locks"].push_back({{"name", lock.name},
                                        {"address", fmt::format("{:#x}", lock.address)},
                                        {"lock", lock.words.lock},
                                        {"owner", lock.words.owner},
                                        {"depth", lock.words.count}});
    json["locks_found"] = words_for(deadlock.locks.source);
    json["cycle"] = Json::array();
    for (const CycleStep& step : deadlock.cycle)
        json["cycle"].push_back({{"thread", step.tid},
                                 {"name", step.thread_name},
                                 {"waits_for", step.waits_for},
                                 {"held_by", step.held_by},
                                 {"owner_is", name_of_source(step.source)},
                                 {"callback", step.callback},
                                 {"sentence", sentence(step)}});
    json["threads"] = Json::array();
    for (const ThreadReport& thread : deadlock.threads) {
        Json frames = Json::array();
        for (const Frame& frame : thread.stack.frames)
            frames.push_back(
                {{"address", fmt::format("{:#x}", frame.address)}, {"text", frame.text}, {"scanned", frame.scanned}});
        json["threads"].push_back({{"thread", thread.state.tid},
                                   {"name", thread.state.name},
                                   {"state", std::string(1, thread.state.state)},
                                   {"waiting", thread.waiting},
                                   {"stack", frames}});
    }
    return json;
}

Json json_of(const Examination& found, const std::string& report) {
    Json json;
    json["schema"] = schema_version;
    json["pid"] = found.pid == 0 ? Json() : Json(found.pid);
    if (found.is_core) json["core"] = true;
    json["name"] = found.name;
    json["place"] = found.place;
    json["executable"] = found.executable;
    json["machine"] = found.machine;
    json["verdict"] = cli::name_of(found.judgement.verdict);
    json["exit_code"] = exit_code_of(found);
    json["reasons"] = Json::array();
    for (const Reason reason : found.judgement.reasons)
        json["reasons"].push_back({{"key", key_of(reason)}, {"text", sentence(reason, found)}});
    json["advice"] = Json::array();
    for (const Advice advice : found.judgement.advice)
        json["advice"].push_back({{"key", key_of(advice)}, {"text", sentence(advice, found)}});
    json["libc"] = {{"name", found.libc.name}, {"version", found.libc.version}, {"static", found.libc.is_static}};
    json["allocator"] = {{"kind", allocator_name(found)},
                         {"object", found.allocator.object},
                         {"version", found.allocator.version},
                         {"in_executable", found.allocator.in_executable},
                         {"stack_method", cli::name_of(found.allocator.evidence.stack_method)},
                         {"stack_method_source", found.allocator.method_source},
                         {"unwinder", found.allocator.unwinder},
                         {"unused", found.allocator.unused}};
    json["walkers"] = Json::array();
    for (const Walker& walker : found.walkers)
        json["walkers"].push_back({{"object", walker.object},
                                   {"tool", walker.tool},
                                   {"version", walker.version},
                                   {"habit", cli::name_of(walker.habit)},
                                   {"evidence", walker.evidence}});
    json["shim"] = {{"present", found.shim.present}};
    if (found.shim.present) {
        json["shim"]["library"] = found.shim_library;
        json["shim"]["mode"] = cli::name_of(found.shim.mode);
        json["shim"]["reached"] = found.shim.reached;
        if (found.page) json["shim"]["page"] = json_of_page(*found.page);
    }
    if (found.pid != 0) json["deadlock"] = json_of(found.deadlock);
    json["notes"] = found.notes;
    if (!found.missing_permission.empty()) json["missing_permission"] = found.missing_permission;
    if (!report.empty()) json["report"] = report;
    return json;
}

}  // namespace

void print_json(const std::vector<Examination>& found, const std::vector<std::string>& reports) {
    Json all = Json::array();
    for (std::size_t i = 0; i < found.size(); ++i) all.push_back(json_of(found[i], reports[i]));
    // Names of files and threads are bytes, not always UTF-8.
    fmt::print("{}\n", all.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace unknot::cli
