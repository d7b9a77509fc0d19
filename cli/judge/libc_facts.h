// SPDX-License-Identifier: Apache-2.0
// Which C library, and which libraries in the process are known to walk the loaded objects.
#pragma once

#include <string>
#include <vector>

#include "cli/read/objects.h"

namespace unknot::cli {

struct LibcFacts {
    std::string name;     // glibc, musl, or "unknown"
    std::string version;  // as the library says: "2.36 (Debian GLIBC 2.36-9+deb12u14)"
    unsigned glibc_minor = 0;
    bool is_static = false;  // no loader: LD_PRELOAD does nothing
};

struct Walker {
    std::string object;
    std::string what;  // async-profiler 3.0
    bool old_async_profiler = false;
};

LibcFacts libc_of(const Objects& objects);
std::vector<Walker> walkers_of(const Objects& objects);
// async-profiler's version from its banner, "Async-profiler 3.0 built on ..."; 4.0 stopped allocating inside walks.
bool async_profiler_is_old(const std::string& version);

}  // namespace unknot::cli
