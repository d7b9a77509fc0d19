// SPDX-License-Identifier: Apache-2.0
// Processes share their libraries: whoever reads many of them, one after the other, keeps what was parsed for the next.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <tuple>

namespace unknot::cli {

class ElfFile;

// While it lives, in this thread, a file that is opened again and has not been written to is the one that was opened
// before. The first 256 files are kept.
class KeptFiles {
  public:
    KeptFiles();
    ~KeptFiles();
    KeptFiles(const KeptFiles&) = delete;
    KeptFiles& operator=(const KeptFiles&) = delete;

    // For ElfFile::open. nullptr: nobody keeps files here, or not that one.
    static std::shared_ptr<ElfFile> same_as(int fd);
    static void keep(int fd, std::shared_ptr<ElfFile> file);

  private:
    // Device, inode, bytes, and when it was last written to or its inode changed, in ns.
    using Key = std::tuple<std::uint64_t, std::uint64_t, std::int64_t, std::int64_t, std::int64_t>;
    static bool key_of(int fd, Key& key);

    std::map<Key, std::shared_ptr<ElfFile>> files_;
    KeptFiles* outer_;
};

}  // namespace unknot::cli
