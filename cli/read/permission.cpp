// SPDX-License-Identifier: Apache-2.0
#include "cli/read/permission.h"

#include <fmt/format.h>
#include <unistd.h>

#include "cli/read/proc_text.h"

namespace unknot::cli {
namespace {

// linux/capability.h
constexpr unsigned cap_dac_override = 1, cap_dac_read_search = 2, cap_sys_ptrace = 19;

// Of one that has CAP_SYS_PTRACE: what else another user's process asks for.
std::string missing_beside_it(std::uint64_t effective, Access access) {
    const auto has = [&](unsigned capability) { return ((effective >> capability) & 1) != 0; };
    if (access == Access::write && !has(cap_dac_override))
        return "CAP_SYS_PTRACE is there, CAP_DAC_OVERRIDE is not, without which another user's memory is not written: "
               "in a container --cap-add DAC_OVERRIDE";
    if (access == Access::read && !has(cap_dac_read_search) && !has(cap_dac_override))
        return "CAP_SYS_PTRACE is there, CAP_DAC_READ_SEARCH is not, without which another user's files in /proc are "
               "not read: in a container --cap-add DAC_READ_SEARCH";
    return {};
}

}  // namespace

std::string missing_permission(Access access) {
    const std::uint64_t effective = status_number(slurp("/proc/self/status"), "CapEff", 16);
    const std::string scope = slurp("/proc/sys/kernel/yama/ptrace_scope");
    // The host's user namespace maps every id to itself.
    const bool own_ids = slurp("/proc/self/uid_map").find("4294967295") == std::string::npos;
    std::string text;
    if (((effective >> cap_sys_ptrace) & 1) != 0) {
        text = missing_beside_it(effective, access);
        if (text.empty()) text = "CAP_SYS_PTRACE is there, but does not reach that process";
        if (own_ids) text += ": it counts in this user namespace only; run it from the one that process belongs to";
    } else {
        text =
            geteuid() == 0 ? "this root has no CAP_SYS_PTRACE" : "reading another user's process needs CAP_SYS_PTRACE";
        text += geteuid() == 0 ? ": " : ": run it as that user or as root; ";
        text += "in a container start it with --cap-add SYS_PTRACE, in Kubernetes with kubectl debug --profile=general";
    }
    if (!scope.empty() && scope[0] != '0')
        text += fmt::format("; kernel.yama.ptrace_scope is {}, which asks for CAP_SYS_PTRACE {}", scope[0],
                            scope[0] == '3' ? "in vain until the next boot" : "even for one's own");
    return text;
}

}  // namespace unknot::cli
