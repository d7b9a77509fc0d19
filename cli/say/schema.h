// SPDX-License-Identifier: Apache-2.0
// The version of everything that is printed as JSON: docs/unknot.schema.json. Fields are added without a new one; what
// is renamed, removed or means something else takes a new one.
#pragma once

namespace unknot::cli {

inline constexpr int schema_version = 1;

}  // namespace unknot::cli
