// SPDX-License-Identifier: Apache-2.0
// elfutils reads .eh_frame (dwarf_cfi_addrframe) and tells each register's rule as DWARF operations.
#include "cli/read/callers.h"

#include <dwarf.h>
#include <elfutils/libdw.h>

#include <cstdlib>
#include <memory>

namespace unknot::cli {
namespace {

struct Freed {
    void operator()(Dwarf_Frame* frame) const { std::free(frame); }
};

// The canonical frame address: a register plus a number.
std::optional<std::uint64_t> frame_address(Dwarf_Frame* frame, const Registers& callee) {
    Dwarf_Op* operations = nullptr;
    std::size_t count = 0;
    if (dwarf_frame_cfa(frame, &operations, &count) != 0 || count != 1) return std::nullopt;
    unsigned number = Registers::count;
    std::uint64_t offset = 0;
    if (operations[0].atom == DW_OP_bregx) {
        number = static_cast<unsigned>(operations[0].number);
        offset = operations[0].number2;
    } else if (operations[0].atom >= DW_OP_breg0 && operations[0].atom <= DW_OP_breg31) {
        number = operations[0].atom - DW_OP_breg0;
        offset = operations[0].number;
    }
    if (number >= Registers::count || !callee.word[number]) return std::nullopt;
    return *callee.word[number] + offset;
}

// A register of the caller: unchanged, or saved at a fixed distance from the frame's address. nullopt: neither.
std::optional<std::uint64_t> caller_word(const Process& process, Dwarf_Frame* frame, const Registers& callee,
                                         unsigned number, std::uint64_t address) {
    Dwarf_Op memory[3];
    Dwarf_Op* operations = memory;
    std::size_t count = 0;
    if (dwarf_frame_register(frame, static_cast<int>(number), memory, &operations, &count) != 0) return std::nullopt;
    if (count == 0) return operations == nullptr ? callee.word[number] : std::nullopt;
    if (operations[0].atom != DW_OP_call_frame_cfa || count > 2) return std::nullopt;
    if (count == 2) {
        if (operations[1].atom != DW_OP_plus_uconst) return std::nullopt;
        address += operations[1].number;
    }
    return process.read<std::uint64_t>(address);
}

}  // namespace

std::optional<Registers> caller_of(const Process& process, const Objects& objects, const Registers& callee,
                                   bool is_call) {
    // A return address may be the first byte of the next function: the call lies before it.
    const std::uint64_t address = callee.pc() - (is_call ? 1 : 0);
    const Object* object = objects.containing(address);
    if (object == nullptr || object->file == nullptr) return std::nullopt;
    Dwarf_CFI* table = object->file->unwind_table();
    Dwarf_Frame* raw = nullptr;
    if (table == nullptr || dwarf_cfi_addrframe(table, address - object->bias, &raw) != 0) return std::nullopt;
    const std::unique_ptr<Dwarf_Frame, Freed> frame(raw);

    Dwarf_Addr start = 0, end = 0;
    bool is_signal = false;
    const int return_register = dwarf_frame_info(frame.get(), &start, &end, &is_signal);
    // The frame of a signal handler's return has every register in the kernel's hands.
    if (return_register != static_cast<int>(Registers::program_counter) || is_signal) return std::nullopt;
    const auto at = frame_address(frame.get(), callee);
    if (!at) return std::nullopt;
    Registers caller;
    for (unsigned number = 0; number < Registers::count; ++number)
        caller.word[number] = caller_word(process, frame.get(), callee, number, *at);
    caller.word[Registers::stack_pointer] = at;
    if (!caller.word[Registers::program_counter]) return std::nullopt;
    return caller;
}

}  // namespace unknot::cli
