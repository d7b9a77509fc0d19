// SPDX-License-Identifier: Apache-2.0
// One reproducer of `unknot check`, started and watched to its end or until it hangs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/check_reproducer.h"
#include "cli/read/page_reader.h"

namespace unknot::cli {

enum class Outcome : std::uint8_t { runs, hangs, no_end, fails };
const char* word_for(Outcome outcome);

struct Run {
    Outcome outcome = Outcome::fails;
    std::string detail = {};  // why it failed
    std::optional<PageReading> page = {};
};

// With that LD_PRELOAD, in mode protect, without any other setting of the user's. A hang is told by missing progress.
Run run_reproducer(Reproduction what, const std::string& preload);

}  // namespace unknot::cli
