// SPDX-License-Identifier: Apache-2.0
// Finding the loader locks. In `_rtld_global` they are recursive pthread mutexes side by side: load lock, write lock,
// and from glibc 2.35 the TLS lock (sysdeps/generic/ldsodefs.h, GL(dl_load_lock) and what follows).
#include "cli/judge/loader_locks.h"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

namespace unknot::cli {
namespace {

constexpr std::size_t mutex_size = sizeof(pthread_mutex_t);  // the distance between neighbours: 40 or 48 bytes
constexpr std::int32_t recursive = 1;
constexpr std::size_t most_bytes = std::size_t{1} << 16;

struct Measured {
    unsigned machine;
    unsigned glibc_minor;
    std::size_t write_lock;
};
// Seen on Debian 11, 12 and 13. Used to confirm and to choose between candidates, never on their own.
constexpr Measured measured[] = {
    {EM_X86_64, 31, 2352}, {EM_X86_64, 36, 2608}, {EM_X86_64, 41, 2608}, {EM_AARCH64, 36, 2744}};

MutexWords words_at(const std::vector<char>& bytes, std::size_t offset) {
    MutexWords words;
    std::memcpy(&words, bytes.data() + offset, sizeof words);
    return words;
}

bool looks_like_lock(const MutexWords& words) {
    constexpr std::int32_t largest_tid = 1 << 22;  // PID_MAX_LIMIT
    if (words.kind != recursive || words.lock < 0 || words.lock > 2) return false;
    if (words.owner < 0 || words.owner > largest_tid || words.count > 1000 || words.users > 1) return false;
    // A free one has no owner; between the two stores of lock() and unlock() the owner may lag, the lock never does.
    if (words.owner != 0 && words.lock == 0) return false;
    return std::all_of(std::begin(words.rest), std::end(words.rest), [](std::int32_t word) { return word == 0; });
}

// Offsets of the first lock of each run of at least two neighbours, with the run's length.
std::map<std::size_t, std::size_t> runs_of_locks(const std::vector<char>& bytes) {
    std::map<std::size_t, std::size_t> runs;
    for (std::size_t offset = 0; offset + sizeof(MutexWords) <= bytes.size(); offset += 8) {
        if (!looks_like_lock(words_at(bytes, offset))) continue;
        std::size_t length = 1;
        while (offset + length * mutex_size + sizeof(MutexWords) <= bytes.size() &&
               looks_like_lock(words_at(bytes, offset + length * mutex_size)))
            ++length;
        if (length < 2) continue;
        runs[offset] = length;
        offset += length * mutex_size - 8;
    }
    return runs;
}

struct OwnLoader {
    std::string build_id;
    std::optional<std::size_t> write_lock;
};

struct Search {
    const char* begin;
    std::size_t size;
    std::vector<std::size_t> owned;
};

// Inside the callback this thread owns the write lock and no other lock of the struct.
int look_for_owned(dl_phdr_info*, std::size_t, void* data) {
    auto& search = *static_cast<Search*>(data);
    const std::vector<char> bytes(search.begin, search.begin + search.size);
    const auto id = static_cast<int>(syscall(SYS_gettid));  // libc's own word for it is younger than the rest asks for
    for (std::size_t offset = 0; offset + sizeof(MutexWords) <= bytes.size(); offset += 8) {
        const MutexWords words = words_at(bytes, offset);
        if (looks_like_lock(words) && words.owner == id) search.owned.push_back(offset);
    }
    return 1;
}

const OwnLoader& own_loader() {
    static const OwnLoader found = [] {
        OwnLoader own;
        const std::uint64_t base = getauxval(AT_BASE);
        const auto mappings = Process(getpid()).mappings();
        for (const Mapping& mapping : mappings) {
            if (!mapping.contains(base) || base == 0) continue;
            const auto file = ElfFile::open(mapping.path);
            const auto symbol = file == nullptr ? std::nullopt : file->defined("_rtld_global");
            if (!symbol || symbol->size > most_bytes) break;
            own.build_id = file->build_id();
            Search search{reinterpret_cast<const char*>(base - file->lowest_address() + symbol->address),  // NOLINT
                          symbol->size,
                          {}};
            dl_iterate_phdr(look_for_owned, &search);
            if (search.owned.size() == 1) own.write_lock = search.owned[0];
        }
        return own;
    }();
    return found;
}

}  // namespace

const LoaderLock* LoaderLocks::at(std::uint64_t address) const {
    for (const LoaderLock& lock : locks)
        if (address >= lock.address && address < lock.address + sizeof(MutexWords)) return &lock;
    return nullptr;
}

std::string words_for(LockSource source) {
    switch (source) {
        case LockSource::own_loader:
            return "calibrated on this program's own loader, the same build";
        case LockSource::table:
            return "by the shape of the struct, confirmed by the offset measured for this glibc";
        case LockSource::shape:
            return "by the shape of the struct alone";
        case LockSource::none:
            break;
    }
    return "not found";
}

LoaderLocks find_loader_locks(const Process& process, const Objects& objects, unsigned glibc_minor) {
    LoaderLocks found;
    const Object* loader = objects.loader();
    if (loader == nullptr || glibc_minor == 0) {
        found.why_not = "there is no glibc loader (ld.so) whose file could be read";
        return found;
    }
    const auto symbol = loader->file->defined("_rtld_global");
    std::vector<char> bytes(std::min<std::size_t>(symbol->size, most_bytes));
    const std::uint64_t start = loader->bias + symbol->address;
    if (!process.read(start, bytes.data(), bytes.size())) {
        found.why_not = process.denied().empty() ? "its memory could not be read" : process.denied();
        return found;
    }

    const auto runs = runs_of_locks(bytes);
    std::optional<std::size_t> write_lock;
    const OwnLoader& own = own_loader();
    if (!own.build_id.empty() && own.build_id == loader->file->build_id() && own.write_lock) {
        write_lock = own.write_lock;
        found.source = LockSource::own_loader;
    }
    for (const Measured& row : measured) {
        if (write_lock || row.machine != loader->file->machine() || row.glibc_minor != glibc_minor) continue;
        if (row.write_lock < mutex_size || !runs.contains(row.write_lock - mutex_size)) continue;
        write_lock = row.write_lock;
        found.source = LockSource::table;
    }
    if (!write_lock && runs.size() == 1) {
        write_lock = runs.begin()->first + mutex_size;
        found.source = LockSource::shape;
    }
    if (!write_lock || *write_lock < mutex_size || *write_lock + 2 * mutex_size > bytes.size()) {
        found.source = LockSource::none;
        found.why_not = fmt::format("the layout of _rtld_global in this glibc 2.{} is not known", glibc_minor);
        return found;
    }
    const auto add = [&](const char* name, std::size_t offset) {
        found.locks.push_back({name, start + offset, words_at(bytes, offset)});
    };
    add("_dl_load_lock", *write_lock - mutex_size);
    add("_dl_load_write_lock", *write_lock);
    if (glibc_minor >= 35) add("_dl_load_tls_lock", *write_lock + mutex_size);
    return found;
}

}  // namespace unknot::cli
