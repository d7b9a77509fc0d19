// SPDX-License-Identifier: Apache-2.0
// From a thread's registers to its caller's, one frame at a time, by the unwind tables alone. Nothing is guessed: what
// the tables do not say in the two plain forms (a register plus a number; a word at a fixed place of the frame) is not
// answered. x86_64 only, so far.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "cli/read/objects.h"

namespace unknot::cli {

struct Registers {
    // By DWARF number (System V psABI for x86_64, figure 3.36): 3 rbx, 6 rbp, 7 rsp, 12 to 15 r12 to r15, 16 rip.
    static constexpr unsigned count = 17, stack_pointer = 7, program_counter = 16;
    std::array<std::optional<std::uint64_t>, count> word;

    std::uint64_t sp() const { return word[stack_pointer].value_or(0); }
    std::uint64_t pc() const { return word[program_counter].value_or(0); }
};

// `is_call`: `callee` is a frame that has called another one, so that its program counter is a return address.
// nullopt: that frame cannot be unwound exactly.
std::optional<Registers> caller_of(const Process& process, const Objects& objects, const Registers& callee,
                                   bool is_call);

}  // namespace unknot::cli
