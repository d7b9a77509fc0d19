// SPDX-License-Identifier: Apache-2.0
#include "shim/system/mapped_memory.h"

#include <errno.h>

#include "shim/system/platform.h"

namespace unknot {

namespace {
// The other word that the call wants. Nobody waits here.
constinit const std::uint32_t nobody_waits_here = 0;
}  // namespace

// FUTEX_CMP_REQUEUE that may wake nobody and move nobody: the kernel compares and is done. -EAGAIN: they differ;
// -EFAULT: there is nothing to read (Linux, kernel/futex/requeue.c, futex_requeue, since 2.6.7; in any later version a
// change would break the condition variables of old glibcs).
Word word_at(const void* at, std::uint32_t expected) {
    constexpr long woken = 0;
    constexpr long moved = 0;
    switch (raw::call(SYS_futex, raw::address(at), FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, woken, moved,
                      raw::address(&nobody_waits_here), static_cast<long>(expected))) {
        case 0:
            return Word::same;
        case -EAGAIN:
            return Word::other;
        case -EFAULT:
            return Word::unreadable;
        default:
            return Word::unknown;
    }
}

bool is_readable(const void* at, bool otherwise) {
    const Word answer = word_at(at, 0);
    return answer == Word::unknown ? otherwise : answer != Word::unreadable;
}

}  // namespace unknot
