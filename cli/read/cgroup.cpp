// SPDX-License-Identifier: Apache-2.0
// Names as the runtimes give them: docker-ID.scope or docker/ID, cri-containerd-ID.scope, crio-ID.scope,
// libpod-ID.scope, lxc.payload.NAME, machine-NAME.scope (systemd-nspawn); and systemd's own units.
#include "cli/read/cgroup.h"

#include <algorithm>
#include <cctype>

namespace unknot::cli {
namespace {

constexpr std::size_t id_bytes = 64, shown_bytes = 12, longest = 80;

bool is_id(std::string_view text) {
    return text.size() == id_bytes && std::all_of(text.begin(), text.end(), [](char c) {
               return std::isxdigit(static_cast<unsigned char>(c)) != 0;
           });
}

// Names of control groups are chosen by others and go to a terminal.
std::string printable(std::string_view text) {
    std::string result(text.substr(0, longest));
    for (char& c : result)
        if (std::isgraph(static_cast<unsigned char>(c)) == 0) c = '?';
    return result;
}

std::string container_in(std::string_view part, std::string_view before) {
    constexpr std::string_view scope = ".scope", lxc = "lxc.payload.", machine = "machine-";
    if (part.ends_with(scope)) part.remove_suffix(scope.size());
    if (part.starts_with(lxc)) return "lxc " + printable(part.substr(lxc.size()));
    if (part.starts_with(machine)) return "machine " + printable(part.substr(machine.size()));
    const std::size_t dash = part.rfind('-');
    const std::string_view id = dash == std::string_view::npos ? part : part.substr(dash + 1);
    if (!is_id(id)) return {};
    const std::string_view runtime = dash == std::string_view::npos ? before : part.substr(0, dash);
    const bool named = !runtime.empty() && runtime.find("pod") != 0 && runtime.find('-') != 0;
    return (named ? printable(runtime) : "container") + " " + std::string(id.substr(0, shown_bytes));
}

}  // namespace

std::string place_in(std::string_view cgroup) {
    std::string unit;
    for (std::size_t from = 0; from < cgroup.size();) {
        const std::size_t to = std::min(cgroup.find('\n', from), cgroup.size());
        std::string_view line = cgroup.substr(from, to - from);
        from = to + 1;
        // "5:cpu,cpuacct:/path"; version 2 has the one line "0::/path".
        const std::size_t colon = line.find(':', std::min(line.find(':'), line.size() - 1) + 1);
        if (line.empty() || colon == std::string_view::npos) continue;
        line.remove_prefix(colon + 1);
        std::string_view before;
        std::string container;
        for (std::size_t at = 0; at < line.size();) {
            const std::size_t end = std::min(line.find('/', at), line.size());
            const std::string_view part = line.substr(at, end - at);
            at = end + 1;
            if (part.empty()) continue;
            // The innermost one.
            if (const std::string found = container_in(part, before); !found.empty()) container = found;
            if (part.ends_with(".service") && unit.empty()) unit = printable(part);
            before = part;
        }
        if (!container.empty()) return container;
    }
    return unit;
}

}  // namespace unknot::cli
