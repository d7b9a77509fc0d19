// SPDX-License-Identifier: Apache-2.0
// Which C library.
#pragma once

#include <string>

#include "cli/read/objects.h"

namespace unknot::cli {

struct LibcFacts {
    std::string name;     // glibc, musl, or "unknown"
    std::string version;  // as the library says: "2.36 (Debian GLIBC 2.36-9+deb12u14)"
    unsigned glibc_minor = 0;
    bool is_static = false;  // no loader: LD_PRELOAD does nothing
};

LibcFacts libc_of(const Objects& objects);

}  // namespace unknot::cli
