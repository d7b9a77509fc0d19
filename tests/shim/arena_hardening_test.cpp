// SPDX-License-Identifier: Apache-2.0
// Memory corruption that reaches the arena stops the process with one line that says what and where.
#include <gtest/gtest.h>

#include <csignal>
#include <cstring>
#include <vector>

#include "tests/shim/fresh_arena.h"

namespace unknot {
namespace {

using testing::FreshArena;

class ArenaHardening : public ::testing::Test {
  protected:
    void SetUp() override { testing::no_core_dumps(); }
    FreshArena fresh_;
};

std::string line(const std::string& rest) {
    return "Z unknot\\[[0-9]+\\]: " + rest + "\n$";
}
std::string double_free(std::size_t bytes, const std::string& operation) {
    return line("double free of arena block 0x[0-9a-f]+ \\(" + std::to_string(bytes) + " bytes\\) in " + operation);
}
const std::string no_block =
    " of 0x[0-9a-f]+, which lies in the arena but is no block of it: an interior or foreign pointer, or its header was "
    "overwritten";

#define EXPECT_STOPS(statement, text) EXPECT_EXIT(statement, ::testing::KilledBySignal(SIGABRT), text)

TEST_F(ArenaHardening, tells_a_double_free_of_a_small_block) {
    void* older = fresh_.allocate(64);
    void* keep = fresh_.allocate(64);
    fresh_.free(older);
    EXPECT_STOPS(fresh_.free(older), double_free(64, "free"));
    fresh_.free(keep);
}

TEST_F(ArenaHardening, tells_a_double_free_of_the_newest_block) {
    void* newest = fresh_.allocate(112);
    fresh_.free(newest);
    EXPECT_STOPS(fresh_.free(newest), double_free(112, "free"));
}

TEST_F(ArenaHardening, tells_a_double_free_by_another_thread) {
    ArenaCursor other{};
    void* block = fresh_.allocate(64);
    fresh_.arena.deallocate(other, block);
    EXPECT_STOPS(fresh_.free(block), double_free(64, "free"));
}

TEST_F(ArenaHardening, tells_a_double_free_in_a_recycled_chunk) {
    ArenaCursor other{};
    other.in_stretch = true;  // an emptied chunk waits with its pages
    void* block = fresh_.arena.allocate(other, 64);
    void* next[4];
    for (void*& large : next) large = fresh_.arena.allocate(other, 16000);
    void* in_another = fresh_.arena.allocate(other, 16000);
    for (void* large : next) fresh_.arena.deallocate(other, large);
    fresh_.arena.deallocate(other, block);
    EXPECT_STOPS(fresh_.free(block), double_free(64, "free"));
    fresh_.arena.deallocate(other, in_another);
}

// The pages are gone, and the size with them.
TEST_F(ArenaHardening, tells_a_double_free_of_a_large_block) {
    void* block = fresh_.allocate(300000);
    fresh_.free(block);
    EXPECT_STOPS(fresh_.free(block), line("double free of arena block 0x[0-9a-f]+ in free"));
}

TEST_F(ArenaHardening, tells_a_double_free_of_a_widely_aligned_block) {
    std::vector<void*> blocks;
    for (int i = 0; i < 4; ++i) blocks.push_back(fresh_.allocate(300000, std::size_t{1} << 20));
    for (void* block : blocks) fresh_.free(block);
    for (void* block : blocks) {
        EXPECT_STOPS(fresh_.free(block), line("double free of arena block 0x[0-9a-f]+ in free"));
    }
}

TEST_F(ArenaHardening, tells_a_realloc_and_a_query_of_a_freed_block) {
    void* block = fresh_.allocate(64);
    void* keep = fresh_.allocate(64);
    fresh_.free(block);
    EXPECT_STOPS(fresh_.resize(block, 128), double_free(64, "realloc"));
    EXPECT_STOPS(fresh_.arena.usable_size(block), double_free(64, "malloc_usable_size"));
    fresh_.free(keep);
}

TEST_F(ArenaHardening, tells_interior_pointers) {
    auto* small = static_cast<char*>(fresh_.allocate(200));
    auto* large = static_cast<char*>(fresh_.allocate(300000));
    std::memset(small, 'x', 200);
    std::memset(large, 'x', 300000);
    for (char* p : {small + 1, small + 8, small + 16, small + 64, large + 16, large + 4096, large + 70000}) {
        EXPECT_STOPS(fresh_.free(p), line("free" + no_block));
    }
    EXPECT_STOPS(fresh_.resize(small + 16, 500), line("realloc" + no_block));
    fresh_.free(small);
    fresh_.free(large);
}

TEST_F(ArenaHardening, tells_pointers_that_were_never_handed_out) {
    auto* block = static_cast<char*>(fresh_.allocate(64));
    const auto chunk = reinterpret_cast<std::uintptr_t>(block) & ~(chunk_size - 1);
    // The metadata before the first chunk, the rest of the chunk, the next chunk, the far end of the range.
    const std::uintptr_t foreign[] = {chunk - 64, chunk + 1024, chunk + chunk_size + 16,
                                      chunk + fresh_.page.arena_reserved / 2};
    for (const std::uintptr_t address : foreign) {
        ASSERT_TRUE(fresh_.arena.contains(reinterpret_cast<void*>(address)));
        EXPECT_STOPS(fresh_.free(reinterpret_cast<void*>(address)), line("free" + no_block));
    }
    fresh_.free(block);
}

TEST_F(ArenaHardening, tells_an_overwritten_header) {
    auto* before = static_cast<unsigned char*>(fresh_.allocate(64));
    auto* block = static_cast<unsigned char*>(fresh_.allocate(64));
    ASSERT_EQ(before + 64 + 16, block);
    for (int at = 0; at < 16; ++at) {  // each byte of the header
        EXPECT_STOPS(
            {
                before[64 + at] = static_cast<unsigned char>(before[64 + at] ^ 0x41);
                fresh_.free(block);
            },
            line("free" + no_block));
    }
    fresh_.free(block);
    fresh_.free(before);
}

// A header copied to another place does not count there.
TEST_F(ArenaHardening, tells_a_forged_header) {
    auto* block = static_cast<char*>(fresh_.allocate(64));
    auto* other = static_cast<char*>(fresh_.allocate(256));
    std::memcpy(other + 64, block - 16, 16);
    EXPECT_STOPS(fresh_.free(other + 80), line("free" + no_block));
    fresh_.free(other);
    fresh_.free(block);
}

}  // namespace
}  // namespace unknot
