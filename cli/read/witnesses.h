// SPDX-License-Identifier: Apache-2.0
// The witnesses of the statistics page: which code was seen, how often, and whose it is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/read/objects.h"
#include "policy/stats_page.h"

namespace unknot::cli {

struct Witness {
    std::string object;    // file name as the process had it; empty: the shim could not tell
    std::string function;  // empty: not known, or the object is no longer there
    std::uint64_t address = 0, offset = 0;
    std::uint64_t count = 0;
    // "libfoo.so+0x1234", or the bare address.
    std::string place() const;
    // The same with the function, where it is known.
    std::string describe() const;
};

// The most frequent first.
std::vector<Witness> witnesses_in(const WitnessRecord (&records)[witness_records]);
// What the shim left open, as far as the objects still lie where they lay.
void name_places(std::vector<Witness>& witnesses, const Objects& objects);

struct ObjectCount {
    std::string object;
    std::uint64_t count = 0;
};
// The most frequent first.
std::vector<ObjectCount> by_object(const std::vector<Witness>& witnesses);
// "libfoo.so 900 calls (90 %), libbar.so 100 calls (10 %)": the first few.
std::string describe(const std::vector<ObjectCount>& objects);

// Text from another process goes to a terminal: only printable characters do.
std::string printable(const char* text, std::size_t most);

}  // namespace unknot::cli
