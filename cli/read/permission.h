// SPDX-License-Identifier: Apache-2.0
// What is missing to read or change another process, as far as this program can tell, and how to get it.
#pragma once

#include <cstdint>
#include <string>

namespace unknot::cli {

enum class Access : std::uint8_t { read, write };

// One sentence without its end: a capability that is not effective here, or where it does not count, or Yama's setting.
std::string missing_permission(Access access = Access::read);

}  // namespace unknot::cli
