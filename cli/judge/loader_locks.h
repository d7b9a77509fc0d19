// SPDX-License-Identifier: Apache-2.0
// The loader's own locks in another process: where they are in its `_rtld_global`, and who owns them.
// Offsets differ per glibc and are never guessed: they come from this program's own loader when it is the same build,
// or from the shape of the struct, confirmed by a table of measured offsets where that glibc is in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/read/objects.h"

namespace unknot::cli {

// glibc's pthread_mutex_t on 64-bit machines, as far as x86_64 and aarch64 agree.
struct MutexWords {
    std::int32_t lock;    // 0 free, 1 owned, 2 owned and waited for
    std::uint32_t count;  // depth of a recursive one
    std::int32_t owner;   // thread id in the process's own PID namespace; 0: nobody
    std::uint32_t users;
    std::int32_t kind;  // 1: recursive
    std::int32_t rest[5];
};
static_assert(sizeof(MutexWords) == 40);

struct LoaderLock {
    std::string name;  // _dl_load_write_lock
    std::uint64_t address = 0;
    MutexWords words{};
};

enum class LockSource { none, own_loader, table, shape };

struct LoaderLocks {
    std::vector<LoaderLock> locks;  // empty: not found, `why_not` says why
    LockSource source = LockSource::none;
    std::string why_not;
    const LoaderLock* at(std::uint64_t address) const;
};

LoaderLocks find_loader_locks(const Process& process, const Objects& objects, unsigned glibc_minor);
std::string words_for(LockSource source);

}  // namespace unknot::cli
