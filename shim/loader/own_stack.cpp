// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/own_stack.h"

#include <signal.h>
#include <sys/auxv.h>

#include <initializer_list>

#include "shim/loader/inner_code.h"
#include "shim/system/libc.h"
#include "shim/system/mapped_memory.h"
#include "shim/system/platform.h"

namespace unknot {

namespace {

using Address = std::uintptr_t;

constexpr std::size_t word = sizeof(Address);
// The smallest page of the supported machines; a piece that crosses no multiple of it crosses no page.
constexpr Address least_page = 4096;
constexpr std::size_t piece_words = 128;  // small: this may be a small stack

constexpr Address next_page(Address at) {
    return (at / least_page + 1) * least_page;
}

// The end of the stack that `start` stands on, if it is the one that the thread began on; else something further up.
Address known_end(Address start) {
    Address end = UINTPTR_MAX;
    for (const void* top : {end_of_first_stack(), end_of_thread_stack()}) {
        const auto at = reinterpret_cast<Address>(top);
        if (at > start && at < end) end = at;
    }
    return end;
}

// Word by word, so that no sanitizer's function is called: between the variables of a frame lies what it forbids.
[[gnu::no_sanitize_address, gnu::no_sanitize_thread]] void copy(Address* to, Address from, std::size_t words) {
    const volatile Address* next = reinterpret_cast<const Address*>(from);
    for (std::size_t i = 0; i < words; ++i) to[i] = next[i];
}

// May what stands on the stack be the return address of a signal handler? Looks at no code but libc's or the kernel's.
bool returns_from_signal(const void* address, InnerCode code) {
    constexpr std::size_t bytes = 16;
    if (signals_return_through_libc) {
        return code == InnerCode::libc && inner_code_at(static_cast<const char*>(address) + bytes) == InnerCode::libc &&
               is_signal_return(address);
    }
    const Address kernels = getauxval(AT_SYSINFO_EHDR);
    const auto at = reinterpret_cast<Address>(address);
    return kernels != 0 && at % 4 == 0 && at - kernels < least_page - bytes && is_signal_return(address);
}

// Finds the end of an alternate signal stack in what the kernel leaves at its top, the handler's ucontext: a uc_link of
// zero, and uc_stack, which says where that stack is (Linux, __save_altstack, called by every machine's signal code).
class SignalStack {
  public:
    // Takes the words one by one. True: the last four say that they stand on an alternate stack.
    bool shows_in(Address at, Address value) {
        const Address start = start_, flags = flags_, link = link_;
        link_ = start_, start_ = flags_, flags_ = value;
        constexpr Address most = Address{1} << 32;
        // The int of the flags is followed by four bytes of anything.
        const auto known = static_cast<std::uint32_t>(flags) & ~(std::uint32_t{1} << 31);  // SS_AUTODISARM
        if (link != 0 || start == 0 || known > SS_ONSTACK || value > most) return false;
        if (at < start || at - start >= value) return false;
        end_ = start + value;
        return true;
    }
    Address end() const { return end_; }

  private:
    Address link_ = 1;
    Address start_ = 0;
    Address flags_ = 0;
    Address end_ = 0;
};

// Shows `visit(where, what)` every word from `frame` upwards until that says false or the stack ends; false: the kernel
// may not be asked whether it goes on. `frame` stands on a page that can be read. Every further page is asked for
// first: this may be a coroutine's stack, which ends where nobody knows, and the piece is copied at once, before
// anybody can have unmapped what lies behind it.
template <class Visit>
bool each_word(const void* frame, std::size_t limit, Visit visit) {
    Address words[piece_words];
    const Address start = reinterpret_cast<Address>(frame) & ~(word - 1);
    Address end = known_end(start);
    if (end - start > limit) end = start + limit;
    for (Address at = start; at < end;) {
        Address to = at + sizeof words < next_page(at) ? at + sizeof words : next_page(at);
        if (to > end) to = end;
        if (at >= next_page(start)) {
            const Word answer = word_at(reinterpret_cast<const void*>(at), 0);
            if (answer == Word::unknown) return false;
            if (answer == Word::unreadable) return true;
        }
        const std::size_t count = (to - at) / word;
        copy(words, at, count);
        for (std::size_t i = 0; i < count; ++i, at += word) {
            if (!visit(at, words[i], end)) return true;
        }
        at = to;
    }
    return true;
}

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

StackFindings look_at_own_stack(const void* frame, const void* unwinder, std::size_t limit) {
    StackFindings found{};
    SignalStack signal_stack;
    const bool sure = each_word(frame, limit, [&](Address at, Address value, Address& end) {
        const void* address = strip_signature(reinterpret_cast<const void*>(value));
        const InnerCode code = inner_code_at(address);
        found.interrupted = found.interrupted || returns_from_signal(address, code);
        // What a handler has interrupted may be a throw; this walk is not that throw's.
        if (code == InnerCode::throwing && !found.interrupted && in_one_unwinder(unwinder, address) &&
            is_return_address(reinterpret_cast<Address>(address))) {
            found.throwing = true;
        }
        if (code == InnerCode::allocator) found.inside_allocator = true;
        if (signal_stack.shows_in(at, value)) {
            // The interrupted stack is not further up, and what it was doing is unknown: a doubt.
            found.inside_allocator = true;
            if (signal_stack.end() < end) end = signal_stack.end();
        }
        return true;
    });
    if (!sure) found.inside_allocator = true;  // a doubt
    return found;
}

bool looks_for_own_return_address(const void* data, const void* frame) {
    const auto at = reinterpret_cast<Address>(data);
    if (at % word != 0 || !is_readable(data, false) || !is_readable(static_cast<const char*>(data) + 4, false)) {
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

bool is_further_up(const void* upper, const void* frame) {
    constexpr std::size_t most = std::size_t{1} << 20;
    const auto from = reinterpret_cast<Address>(frame);
    const auto to = reinterpret_cast<Address>(upper);
    if (to < from || to - from > most) return false;
    for (Address page = next_page(from); page <= to; page += least_page) {
        if (!is_readable(reinterpret_cast<const void*>(page), false)) return false;
    }
    return true;
}

}  // namespace unknot
