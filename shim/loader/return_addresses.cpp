// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/return_addresses.h"

#include "shim/loader/own_stack.h"
#include "shim/loader/stack_words.h"
#include "shim/system/mapped_memory.h"
#include "shim/system/platform.h"

namespace unknot {

using namespace stack_words;

namespace {

// Do the instructions before this address end in a call? `code` can be read from eight bytes before.
bool follows_a_call(const unsigned char* code) {
#if defined(__x86_64__)
    if (code[-5] == 0xe8) return true;  // call rel32
    for (int length = 2; length <= 7; ++length) {
        // call r/m64: ff /2, its address in up to six more bytes
        if (code[-length] == 0xff && (code[1 - length] >> 3 & 7) == 2) return true;
    }
    return false;
#else
    std::uint32_t instruction = 0;
    __builtin_memcpy(&instruction, code - 4, sizeof instruction);
    return (instruction & 0xfc000000) == 0x94000000 || (instruction & 0xfffffc1f) == 0xd63f0000;  // bl, blr
#endif
}

bool is_return_address(Address address) {
    const auto* code = reinterpret_cast<const unsigned char*>(address);
    return address > least_page && is_readable(reinterpret_cast<const void*>((address - 8) & ~Address{3}), false) &&
           is_readable(reinterpret_cast<const void*>(address & ~Address{3}), false) && follows_a_call(code);
}

}  // namespace

bool looks_for_own_return_address(const void* data, const void* frame) {
    const auto at = reinterpret_cast<Address>(data);
    // Most walks that are no unwinder's hand over nothing, and the kernel takes microseconds to refuse that address.
    if (at < least_page || at % word != 0) return false;
    if (!is_readable(data, false) || !is_readable(static_cast<const char*>(data) + 4, false)) {
        return false;
    }
    Address wanted = 0;
    copy(&wanted, at, 1);
    // The one is a return address less one, so that it lies inside the call; the other, of the frame where a trace
    // begins, stands in the registers that were kept for it.
    for (const Address address : {wanted + 1, wanted}) {
        // First the question that most words fail, without a look at the stack.
        if (!is_return_address(address)) continue;
        bool found = false;
        each_word(frame, scan_limit, [&](Address where, Address value, Address&) {
            found = where != at &&
                    reinterpret_cast<Address>(strip_signature(reinterpret_cast<const void*>(value))) == address;
            return !found;
        });
        if (found) return true;
    }
    return false;
}

}  // namespace unknot
