// SPDX-License-Identifier: Apache-2.0
// Whose process it is, as the name of its control group tells: a container or a unit.
#pragma once

#include <string>
#include <string_view>

namespace unknot::cli {

// From the text of /proc/PID/cgroup: "docker 0123456789ab", "nginx.service", or empty.
std::string place_in(std::string_view cgroup);

}  // namespace unknot::cli
