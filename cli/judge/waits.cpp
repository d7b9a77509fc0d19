// SPDX-License-Identifier: Apache-2.0
// Layout and kinds of a mutex: glibc, sysdeps/nptl/bits/struct_mutex.h and nptl/pthreadP.h.
#include "cli/judge/waits.h"

#include <linux/futex.h>
#include <sys/syscall.h>

namespace unknot::cli {

std::uint64_t waited_for(const ThreadState& thread) {
    if (!thread.in_syscall || thread.syscall != SYS_futex) return 0;
    const auto operation = static_cast<int>(thread.argument[1]) & FUTEX_CMD_MASK;
    const bool waits = operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET || operation == FUTEX_LOCK_PI ||
                       operation == FUTEX_WAIT_REQUEUE_PI;
    return waits ? thread.argument[0] : 0;
}

bool waits_for_ever(const ThreadState& thread) {
    constexpr std::size_t timeout = 3;
    return waited_for(thread) != 0 && thread.argument[timeout] == 0;
}

bool waits_for_mutex(const ThreadState& thread) {
    constexpr std::uint64_t waited_for_too = 2;  // nptl/lowlevellock.c: futex_wait (futex, 2, private)
    // pthread_join of glibc 2.43 waits for a 2 as well, as everything does that can be cancelled: FUTEX_WAIT_BITSET.
    const auto operation = static_cast<int>(thread.argument[1]) & FUTEX_CMD_MASK;
    return waited_for(thread) != 0 && operation == FUTEX_WAIT && thread.argument[2] == waited_for_too;
}

bool is_held_mutex(const MutexWords& words) {
    return words.lock >= 1 && words.lock <= 2 && words.owner > 0 && words.users >= 1 && words.kind >= 0 &&
           words.kind < 1024;
}

bool waits_for_itself(const Process& process, const ThreadState& thread) {
    constexpr std::int32_t kinds = 3, recursive = 1, checking = 2;
    const std::uint64_t address = waited_for(thread);
    const auto words = address == 0 ? std::nullopt : process.read<MutexWords>(address);
    if (!words || !is_held_mutex(*words) || words->owner != thread.inner_tid) return false;
    const std::int32_t kind = words->kind & kinds;
    return kind != recursive && kind != checking;
}

}  // namespace unknot::cli
