// SPDX-License-Identifier: Apache-2.0
// Every word of this thread's own stack, from a frame upwards, as far as it is known to go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "shim/system/libc.h"
#include "shim/system/mapped_memory.h"

namespace unknot::stack_words {

using Address = std::uintptr_t;

inline constexpr std::size_t word = sizeof(Address);
// The smallest page of the supported machines; a piece that crosses no multiple of it crosses no page.
inline constexpr Address least_page = 4096;
inline constexpr std::size_t piece_words = 128;  // small: this may be a small stack

constexpr Address next_page(Address at) {
    return (at / least_page + 1) * least_page;
}

// The end of the stack that `start` stands on, if it is the one that the thread began on; else something further up.
inline Address known_end(Address start) {
    Address end = UINTPTR_MAX;
    for (const void* top : {end_of_first_stack(), end_of_thread_stack()}) {
        const auto at = reinterpret_cast<Address>(top);
        if (at > start && at < end) end = at;
    }
    return end;
}

// Word by word, so that no sanitizer's function is called: between the variables of a frame lies what it forbids.
[[gnu::no_sanitize_address, gnu::no_sanitize_thread]] inline void copy(Address* to, Address from, std::size_t words) {
    const volatile Address* next = reinterpret_cast<const Address*>(from);
    for (std::size_t i = 0; i < words; ++i) to[i] = next[i];
}

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

}  // namespace unknot::stack_words
