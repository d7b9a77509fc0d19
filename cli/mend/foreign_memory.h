// SPDX-License-Identifier: Apache-2.0
// Words of another process, replaced through /proc/PID/mem. The file belongs to the address space that was there when
// it was opened, so that nothing lands in another program when an id comes round again or the process executes another.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cli/read/inspect_proc.h"

namespace unknot::cli {

class ForeignMemory {
  public:
    // Throws NotPermitted, ProcessGone.
    explicit ForeignMemory(const Process& process);
    ~ForeignMemory();
    ForeignMemory(const ForeignMemory&) = delete;
    ForeignMemory& operator=(const ForeignMemory&) = delete;

    // All of it, at once as far as a kill of this program goes: a write to this file is not interrupted. Throws Trouble
    // when the bytes are not `expected` any more, or cannot be written; then nothing was.
    void replace(std::uint64_t address, const void* expected, const void* with, std::size_t size);

  private:
    const Process& process_;
    int file_ = -1;
};

}  // namespace unknot::cli
