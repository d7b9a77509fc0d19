// SPDX-License-Identifier: Apache-2.0
#include "cli/judge/joined.h"

#include <linux/futex.h>

#include "cli/judge/waits.h"

namespace unknot::cli {
namespace {

// What libc tells debuggers of its own structs (nptl_db/structs.def; seen from 2.31 to 2.43).
struct Field {
    std::uint32_t bits, count, offset;
};

template <class T>
std::optional<T> told_by(const Process& process, const Object& libc, const char* symbol) {
    const auto found = libc.file->defined(symbol);
    return found ? process.read<T>(libc.bias + found->address) : std::nullopt;
}

}  // namespace

pid_t thread_around(const Process& process, const Objects& objects, const Snapshot& threads, std::uint64_t address) {
    constexpr std::uint64_t alignment = 16, most_bytes = 1 << 16;
    const Object* libc = objects.first_exporting("_thread_db_pthread_tid");
    if (libc == nullptr) return 0;
    const auto size = told_by<std::uint32_t>(process, *libc, "_thread_db_sizeof_pthread");
    const auto id = told_by<Field>(process, *libc, "_thread_db_pthread_tid");
    const auto list = told_by<Field>(process, *libc, "_thread_db_pthread_list");
    if (!size || *size > most_bytes || *size > address || !id || !list) return 0;
    for (std::uint64_t start = address & ~(alignment - 1); start + *size > address; start -= alignment) {
        const auto inner = process.read<std::int32_t>(start + id->offset);
        const pid_t thread = inner && *inner > 0 ? thread_with_inner(threads, *inner) : 0;
        if (thread == 0) continue;
        // A number may be any thread's id by chance; every struct is in a ring as well (include/list_t.h: next, prev).
        const std::uint64_t link = start + list->offset;
        const auto next = process.read<std::uint64_t>(link);
        if (next && process.read<std::uint64_t>(*next + sizeof link) == link) return thread;
    }
    return 0;
}

pid_t joined_by(const Process& process, const Objects& objects, const Snapshot& threads, const ThreadState& waiter) {
    const std::uint64_t address = waited_for(waiter);
    const auto word = address == 0 ? std::nullopt : process.read<std::int32_t>(address);
    // The kernel wakes it as if other processes could wait there too.
    const bool is_private = (waiter.argument[1] & FUTEX_PRIVATE_FLAG) != 0;
    if (!word || is_private || *word != static_cast<std::int32_t>(waiter.argument[2])) return 0;
    constexpr std::int32_t smallest = 3;  // below are the states of locks, and of 2.43's threads
    const pid_t joined =
        *word < smallest ? thread_around(process, objects, threads, address) : thread_with_inner(threads, *word);
    return joined == waiter.tid ? 0 : joined;
}

}  // namespace unknot::cli
