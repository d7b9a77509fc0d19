// SPDX-License-Identifier: Apache-2.0
// Questions about memory that may not be there, or may go away at any time: the kernel looks, and nothing here ever
// faults. Asked with futex, which a process with threads needs anyway, so that no sandbox ends it for asking. Safe in
// signal handlers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace [[gnu::visibility("hidden")]] unknot {

enum class Word : std::uint8_t {
    same,
    other,
    unreadable,
    unknown,  // the kernel may not be asked
};

// What stands at `at` (aligned to 4), compared with `expected`.
Word word_at(const void* at, std::uint32_t expected);

// `otherwise` is the answer where the kernel may not be asked.
bool is_readable(const void* at, bool otherwise);

}  // namespace unknot
