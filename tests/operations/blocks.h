// SPDX-License-Identifier: Apache-2.0
// The blocks that all threads share: whoever takes one out of its slot owns it, whoever allocated it. Every block is
// filled with a pattern that depends on its place and its size; a byte that has changed by the time it is freed ends
// the process.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "tests/doors/doors.h"

namespace operations {

struct Block {
    void* memory = nullptr;
    const doors::Allocation* from = nullptr;
    doors::Wish wish{};
    std::size_t size = 0;       // bytes that the program may use
    bool is_resizable = false;  // made by the C family
};

// Fills it, or checks what fill left there. Large blocks: both ends and a byte of every page.
void fill(const Block& block);
void check(const Block& block, const char* when);

inline constexpr std::size_t slot_count = 600;

// Lock-free, because it is used inside walks, inside constructors and in the child of a fork.
class Slots {
  public:
    // False: the slot was in use, and the block is still the caller's.
    bool put(std::size_t at, const Block& block);
    std::optional<Block> take(std::size_t at);

  private:
    enum class State : std::uint8_t { empty, busy, full };
    struct Slot {
        std::atomic<State> state{State::empty};
        Block block{};
    };
    Slot slots_[slot_count];
};

}  // namespace operations
