// SPDX-License-Identifier: Apache-2.0
#include "cli/read/kept_files.h"

#include <sys/stat.h>

#include "cli/read/inspect_elf.h"

namespace unknot::cli {
namespace {

constexpr std::size_t most_files = 256;
thread_local KeptFiles* here = nullptr;

std::int64_t ns_of(const timespec& time) {
    return time.tv_sec * std::int64_t{1000000000} + time.tv_nsec;
}

}  // namespace

KeptFiles::KeptFiles() : outer_(here) {
    here = this;
}

KeptFiles::~KeptFiles() {
    here = outer_;
}

bool KeptFiles::key_of(int fd, Key& key) {
    struct stat file {};
    if (fstat(fd, &file) != 0) return false;
    key = {file.st_dev, file.st_ino, file.st_size, ns_of(file.st_mtim), ns_of(file.st_ctim)};
    return true;
}

std::shared_ptr<ElfFile> KeptFiles::same_as(int fd) {
    Key key;
    if (here == nullptr || !key_of(fd, key)) return nullptr;
    const auto found = here->files_.find(key);
    return found == here->files_.end() ? nullptr : found->second;
}

void KeptFiles::keep(int fd, std::shared_ptr<ElfFile> file) {
    Key key;
    if (here != nullptr && here->files_.size() < most_files && key_of(fd, key))
        here->files_.emplace(key, std::move(file));
}

}  // namespace unknot::cli
