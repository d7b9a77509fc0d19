// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/own_stack.h"

#include <signal.h>

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

}  // namespace

// `frame` stands on a page that can be read. Every further page is asked for first: this may be a coroutine's stack,
// which ends where nobody knows, and the piece is copied at once, before anybody can have unmapped what lies behind it.
StackFindings look_at_own_stack(const void* frame, std::size_t limit) {
    StackFindings found{};
    SignalStack signal_stack;
    Address words[piece_words];
    const Address start = reinterpret_cast<Address>(frame) & ~(word - 1);
    Address end = known_end(start);
    if (end - start > limit) end = start + limit;
    for (Address at = start; at < end;) {
        Address to = at + sizeof words < next_page(at) ? at + sizeof words : next_page(at);
        if (to > end) to = end;
        if (at >= next_page(start)) {
            const Word answer = word_at(reinterpret_cast<const void*>(at), 0);
            if (answer == Word::unknown) found.inside_allocator = true;  // a doubt
            if (answer == Word::unknown || answer == Word::unreadable) break;
        }
        const std::size_t count = (to - at) / word;
        copy(words, at, count);
        for (std::size_t i = 0; i < count; ++i, at += word) {
            const InnerCode code = inner_code_at(strip_signature(reinterpret_cast<const void*>(words[i])));
            if (code == InnerCode::throwing) {
                found.throwing = true;
                return found;
            }
            if (code == InnerCode::allocator) found.inside_allocator = true;
            if (signal_stack.shows_in(at, words[i])) {
                // The interrupted stack is not further up, and what it was doing is unknown: a doubt.
                found.inside_allocator = true;
                if (signal_stack.end() < end) end = signal_stack.end();
            }
        }
        at = to;
    }
    return found;
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
