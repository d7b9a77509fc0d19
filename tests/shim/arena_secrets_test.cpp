// SPDX-License-Identifier: Apache-2.0
// Nothing that stands in or beside a block leads back to the random bytes of which glibc makes the stack protector's
// canary and the pointer guard.
#include <gtest/gtest.h>
#include <sys/auxv.h>

#include <bit>
#include <set>
#include <vector>

#include "shim/arena/cookie.h"
#include "tests/shim/fresh_arena.h"

namespace unknot {
namespace {

using testing::FreshArena;

struct Random {
    std::uint64_t words[2];
};
Random at_random() {
    Random random{};
    std::memcpy(&random, reinterpret_cast<const void*>(getauxval(AT_RANDOM)), sizeof random);
    return random;
}

// What would give a secret away if it stood in memory, or came out of what stands there by an exclusive or, a sum or a
// difference: the words themselves, the canary (without its lowest byte), what both make of each other, each negated.
std::set<std::uint64_t> secrets() {
    const auto [words] = at_random();
    std::set<std::uint64_t> all;
    for (const std::uint64_t word :
         {words[0], words[1], words[0] ^ words[1], words[0] + words[1], words[0] - words[1]}) {
        all.insert({word, word & ~std::uint64_t{0xff}, ~word, 0 - word, std::rotl(word, 17), std::rotr(word, 17)});
    }
    return all;
}

class ArenaSecrets : public ::testing::Test {
  protected:
    // Also without the lowest byte, as the canary is compared.
    void expect_harmless(std::uint64_t word, const char* what) const {
        EXPECT_FALSE(secrets_.contains(word)) << what;
        EXPECT_FALSE(secrets_.contains(word & ~std::uint64_t{0xff})) << what;
    }
    // The two words before a payload, and everything that its reader can take out of them: it knows the address and the
    // size, and whether the block was freed.
    void expect_harmless_header(const void* payload) const {
        const auto* header = static_cast<const std::uint64_t*>(payload) - 2;
        const auto address = reinterpret_cast<std::uintptr_t>(header);
        for (const std::uint64_t mark : {header[1], ~header[1]}) {
            for (const std::uint64_t known : {std::uint64_t{0}, address, header[0], address ^ header[0],
                                              reinterpret_cast<std::uintptr_t>(payload)}) {
                expect_harmless(mark ^ known, "mark ^ known");
                expect_harmless(mark + known, "mark + known");
                expect_harmless(mark - known, "mark - known");
            }
        }
        expect_harmless(header[0], "size");
    }

    FreshArena fresh_;
    const std::set<std::uint64_t> secrets_ = secrets();
};

TEST_F(ArenaSecrets, are_in_no_header_of_a_live_or_freed_block) {
    std::vector<void*> blocks;
    for (std::size_t i = 0; i < 3000; ++i) {
        blocks.push_back(fresh_.allocate(i % 100 == 0 ? 20000 + i * 16 : 1 + i % 2000, i % 7 == 0 ? 256 : 16));
        expect_harmless_header(blocks.back());
    }
    for (std::size_t i = 0; i < blocks.size(); i += 2) {
        const bool small = fresh_.arena.usable_size(blocks[i]) < 16384;
        fresh_.free(blocks[i]);
        if (small) expect_harmless_header(blocks[i]);
    }
    for (std::size_t i = 1; i < blocks.size(); i += 2) fresh_.free(blocks[i]);
}

// Two headers together say no more than one: what differs between them is known anyway.
TEST_F(ArenaSecrets, are_in_no_difference_between_two_headers) {
    std::vector<const std::uint64_t*> headers;
    for (std::size_t i = 0; i < 200; ++i) {
        headers.push_back(static_cast<const std::uint64_t*>(fresh_.allocate(100 + i)) - 2);
    }
    for (const auto* one : headers) {
        for (const auto* other : headers) {
            expect_harmless(one[1] ^ other[1], "mark ^ mark");
            expect_harmless(one[1] - other[1], "mark - mark");
        }
    }
}

// A mix that can be undone bit by bit, such as an exclusive or or a product, changes few bits, or the same ones, where
// one bit of its input changes.
TEST(Cookie, changes_as_a_whole_with_every_bit_of_the_random_bytes) {
    const auto [words] = at_random();
    const std::uint64_t cookie = cookie_from(words[0], words[1]);
    std::set<std::uint64_t> differences;
    for (int bit = 0; bit < 128; ++bit) {
        Random other{{words[0], words[1]}};
        other.words[bit / 64] ^= std::uint64_t{1} << bit % 64;
        const std::uint64_t difference = cookie ^ cookie_from(other.words[0], other.words[1]);
        EXPECT_GE(std::popcount(difference), 8) << bit;
        EXPECT_LE(std::popcount(difference), 56) << bit;
        differences.insert(difference);
    }
    EXPECT_EQ(differences.size(), 128u);
}

TEST(Cookie, is_no_constant) {
    EXPECT_NE(cookie_from(0, 0), 0u);
    EXPECT_NE(cookie_from(0, 0), cookie_from(0, 1));
    EXPECT_NE(cookie_from(0, 1), cookie_from(1, 0));
}

}  // namespace
}  // namespace unknot
