// SPDX-License-Identifier: Apache-2.0
// The same call from 512 places, each with a return address of its own: more than the 128 that libunwind's cache of
// register states holds, so that an unwinder has to ask the loader for as long as it goes round.
#pragma once

#include <array>
#include <cstddef>
#include <utility>

namespace unknot::bench {

constexpr std::size_t call_sites = 512;

// Naming its number in an empty asm behind the call keeps the compiler from folding the 512 into one, and from turning
// the call into a jump that would leave no return address of this place on the stack.
template <std::size_t Site>
[[gnu::noinline]] void call_at(void (*function)()) {
    function();
    asm volatile("" : : "i"(Site) : "memory");
}

template <std::size_t... Site>
constexpr std::array<void (*)(void (*)()), sizeof...(Site)> every_site(std::index_sequence<Site...>) {
    return {&call_at<Site>...};
}

inline constexpr auto call_from = every_site(std::make_index_sequence<call_sites>{});

}  // namespace unknot::bench
