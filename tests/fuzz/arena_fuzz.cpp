// SPDX-License-Identifier: Apache-2.0
// Sequences of arena calls against a shadow that knows what every block should be: its place, its size, its contents.
// Four cursors stand for four threads; a cursor that is marked busy stands for a handler that interrupted its thread.
// Every input gets an arena of its own, so that what it finds it finds again.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "shim/arena/arena.h"

namespace {

using namespace unknot;

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "arena_fuzz: %s\n", what);
    std::abort();
}

class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}
    bool empty() const { return at_ == end_; }
    std::size_t byte() { return empty() ? 0 : *at_++; }
    std::size_t word() { return byte() << 8 | byte(); }

  private:
    const std::uint8_t* at_;
    const std::uint8_t* end_;
};

struct Owned {
    unsigned char* block = nullptr;
    std::size_t size = 0;
    unsigned char mark = 0;
};

// Larger blocks are looked at in some places only: pages that are never touched cost nothing.
std::size_t stride(std::size_t size) {
    return size <= 512 ? 1 : size <= 2048 ? 509 : size <= 65536 ? 16381 : 262139;
}

class Session {
  public:
    Session() { arena_.set_limit(std::size_t{4} << 20); }

    void step(Input& input) {
        const std::size_t what = input.byte();
        ArenaCursor& cursor = cursors_[what >> 6];
        const bool busy = (what & 0x38) == 0x38;
        OperationMark mark = &cursor;
        cursor.busy = busy ? &mark : nullptr;
        switch (what & 7) {
            case 0:
            case 1:
            case 2:
                allocate(cursor, input, (what & 8) != 0 ? Fill::zero : Fill::as_is);
                break;
            case 3:
            case 4:
                deallocate(cursor, slot(input));
                break;
            case 5:
                (what & 8) != 0 ? resize(cursor, slot(input), size(input))
                                : resize_in_place(cursor, slot(input), size(input));
                break;
            case 6:
                if (input.byte() % 4 == 0) arena_.set_limit(std::size_t{65536} << input.byte() % 7);
                arena_.publish(cursor);
                cursor.in_stretch = true;
                break;
            case 7:
                (what & 8) != 0 ? arena_.end_of_stretch(cursor) : arena_.retire(cursor);
                break;
        }
        cursor.busy = nullptr;
    }

    void finish() {
        for (Owned& owned : owned_) deallocate(cursors_[0], owned);
        for (ArenaCursor& cursor : cursors_) {
            arena_.retire(cursor);
            arena_.publish(cursor);
        }
        require(page_.arena_live_blocks == 0 && page_.arena_live_bytes == 0, "blocks are live that nobody has");
        require(page_.arena_committed <= 16 * chunk_size, "pages of freed blocks were not given back");
        arena_.destroy();
    }

  private:
    static std::size_t size(Input& input) {
        const std::size_t scale = input.byte();
        const std::size_t n = input.word();
        if (scale < 160) return n % 512;
        if (scale < 220) return n % 40000;
        if (scale < 250) return n * 4;
        return n * 40;
    }
    Owned& slot(Input& input) { return owned_[input.byte() % std::size(owned_)]; }

    void allocate(ArenaCursor& cursor, Input& input, Fill fill) {
        Owned& owned = slot(input);
        if (owned.block != nullptr) deallocate(cursor, owned);
        const std::size_t bytes = size(input);
        const std::size_t odd = input.byte();
        const std::size_t alignment = odd < 192 ? 16 : std::size_t{1} << (odd - 192) % 21;
        auto* block = static_cast<unsigned char*>(arena_.allocate(cursor, bytes, alignment, fill));
        if (block == nullptr) return;
        require(reinterpret_cast<std::uintptr_t>(block) % std::max<std::size_t>(alignment, 16) == 0, "badly aligned");
        require(arena_.contains(block) && arena_.contains(block + std::max<std::size_t>(bytes, 1) - 1), "out of range");
        if (fill == Fill::zero) {
            const std::size_t step = bytes <= 20000 ? 1 : stride(bytes);
            for (std::size_t at = 0; at < bytes; at += step) require(block[at] == 0, "not zeroed");
            require(bytes == 0 || block[bytes - 1] == 0, "not zeroed at its end");
        }
        own(owned, block);
    }

    // The whole usable size is the block's.
    void own(Owned& owned, unsigned char* block) {
        const std::size_t usable = arena_.usable_size(block);
        for (const Owned& other : owned_) {
            require(other.block == nullptr || &other == &owned || block + usable <= other.block ||
                        other.block + other.size <= block,
                    "two blocks overlap");
        }
        owned = {block, usable, static_cast<unsigned char>(++marks_ | 1)};
        for (std::size_t at = 0; at < usable; at += stride(usable)) block[at] = owned.mark;
        block[usable - 1] = owned.mark;
    }

    static void check(const Owned& owned, std::size_t bytes) {
        for (std::size_t at = 0; at < bytes; at += stride(owned.size)) {
            require(owned.block[at] == owned.mark, "contents lost");
        }
    }

    void deallocate(ArenaCursor& cursor, Owned& owned) {
        if (owned.block == nullptr) return;
        require(arena_.usable_size(owned.block) == owned.size, "another size than before");
        check(owned, owned.size);
        arena_.deallocate(cursor, owned.block);
        owned.block = nullptr;
    }

    // Perhaps moved. Shrinks always succeed.
    void resize(ArenaCursor& cursor, Owned& owned, std::size_t bytes) {
        if (owned.block == nullptr) return;
        auto* left = static_cast<unsigned char*>(arena_.resize(cursor, owned.block, bytes));
        require(left != nullptr || bytes > owned.size, "refused to shrink");
        if (left == nullptr) return check(owned, owned.size);
        const std::size_t usable = arena_.usable_size(left);
        require(usable >= bytes, "less room than asked for");
        for (std::size_t at = 0; at < std::min(usable, owned.size); at += stride(owned.size)) {
            require(left[at] == owned.mark || at >= bytes, "contents lost");
        }
        own(owned, left);
    }

    void resize_in_place(ArenaCursor& cursor, Owned& owned, std::size_t bytes) {
        if (owned.block == nullptr) return;
        const bool done = arena_.resize_in_place(cursor, owned.block, bytes);
        // Within a quarter of the smallest span nothing is wasted, whatever pages the block has.
        require(done || bytes > owned.size || owned.size > chunk_size / 4, "refused to shrink what is small");
        const std::size_t usable = arena_.usable_size(owned.block);
        require(done ? usable >= bytes : usable == owned.size, "size and answer differ");
        check(owned, std::min(usable, owned.size));
        own(owned, owned.block);
    }

    StatsPage page_{};
    Arena arena_{page_};
    ArenaCursor cursors_[4]{};
    Owned owned_[32]{};
    unsigned marks_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Session session;
    for (Input input(data, size); !input.empty();) session.step(input);
    session.finish();
    return 0;
}
