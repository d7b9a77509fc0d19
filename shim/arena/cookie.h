// SPDX-License-Identifier: Apache-2.0
// This process's share of the marks in the headers, made of the sixteen random bytes that the kernel gives a process
// (AT_RANDOM). glibc takes the stack protector's canary and the pointer guard from the same bytes (sysdeps/unix/sysv/
// linux/dl-osinfo.h), so nothing that stands in memory may lead back to them: whoever reads a header beside a block
// learns the mark, and with it the cookie.
//
// SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) with those bytes as its key: finding
// the key from the answer means trying all of them. No system call: getrandom is one that a sandbox may kill for.
#pragma once

#include <bit>
#include <cstdint>

namespace unknot {

class SipHash {
  public:
    constexpr SipHash(std::uint64_t key0, std::uint64_t key1)
        : v0_(key0 ^ 0x736f6d6570736575u),
          v1_(key1 ^ 0x646f72616e646f6du),
          v2_(key0 ^ 0x6c7967656e657261u),
          v3_(key1 ^ 0x7465646279746573u) {}

    // Of a message of eight bytes.
    constexpr std::uint64_t of(std::uint64_t message) const {
        SipHash state = *this;
        state.take(message);
        state.take(std::uint64_t{8} << 56);  // the message's length, in the last byte
        state.v2_ ^= 0xff;
        for (int i = 0; i < 4; ++i) state.round();
        return state.v0_ ^ state.v1_ ^ state.v2_ ^ state.v3_;
    }

  private:
    constexpr void take(std::uint64_t word) {
        v3_ ^= word;
        round();
        round();
        v0_ ^= word;
    }
    constexpr void round() {
        v0_ += v1_, v2_ += v3_;
        v1_ = std::rotl(v1_, 13) ^ v0_, v3_ = std::rotl(v3_, 16) ^ v2_;
        v0_ = std::rotl(v0_, 32);
        v2_ += v1_, v0_ += v3_;
        v1_ = std::rotl(v1_, 17) ^ v2_, v3_ = std::rotl(v3_, 21) ^ v0_;
        v2_ = std::rotl(v2_, 32);
    }

    std::uint64_t v0_, v1_, v2_, v3_;
};

// The first of the authors' test vectors with eight bytes.
static_assert(SipHash(0x0706050403020100u, 0x0f0e0d0c0b0a0908u).of(0x0706050403020100u) == 0x93f5f5799a932462u);

// `random`: the two words at AT_RANDOM.
constexpr std::uint64_t cookie_from(std::uint64_t random0, std::uint64_t random1) {
    return SipHash(random0, random1).of(0x6e75206568656164u);  // any constant will do
}

}  // namespace unknot
