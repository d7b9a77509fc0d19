// SPDX-License-Identifier: Apache-2.0
#include "tests/operations/blocks.h"

#include "tests/operations/failure.h"

namespace operations {

namespace {

constexpr std::size_t whole_up_to = 8192;
constexpr std::size_t stride = 4096;

unsigned char pattern(const Block& block, std::size_t at) {
    const auto place = reinterpret_cast<std::uintptr_t>(block.memory);
    return static_cast<unsigned char>((place >> 4) * 31 + block.size * 7 + at * 13 + 1);
}

template <class Visit>
void for_every_byte(const Block& block, Visit visit) {
    auto* bytes = static_cast<unsigned char*>(block.memory);
    const std::size_t head = block.size < whole_up_to ? block.size : whole_up_to;
    for (std::size_t i = 0; i < head; ++i) visit(bytes[i], i);
    for (std::size_t i = head; i < block.size; i += stride) visit(bytes[i], i);
    if (block.size > head) visit(bytes[block.size - 1], block.size - 1);
}

}  // namespace

void fill(const Block& block) {
    for_every_byte(block, [&](unsigned char& byte, std::size_t at) { byte = pattern(block, at); });
}

void check(const Block& block, const char* when) {
    for_every_byte(block, [&](unsigned char byte, std::size_t at) {
        if (byte == pattern(block, at)) return;
        fail("%s: block %p of %zu bytes from %s has changed at byte %zu", when, block.memory, block.size,
             block.from->name, at);
    });
}

bool Slots::put(std::size_t at, const Block& block) {
    State expected = State::empty;
    // Acquire pairs with the release that emptied it; the release below with the acquire of take.
    if (!slots_[at].state.compare_exchange_strong(expected, State::busy, std::memory_order_acquire)) return false;
    slots_[at].block = block;
    slots_[at].state.store(State::full, std::memory_order_release);
    return true;
}

std::optional<Block> Slots::take(std::size_t at) {
    State expected = State::full;
    if (!slots_[at].state.compare_exchange_strong(expected, State::busy, std::memory_order_acquire)) return {};
    const Block block = slots_[at].block;
    slots_[at].state.store(State::empty, std::memory_order_release);
    return block;
}

}  // namespace operations
