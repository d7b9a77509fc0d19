// SPDX-License-Identifier: Apache-2.0
// Many threads on one arena: each cuts blocks with a cursor of its own, fills them, and swaps them into slots that all
// share; whoever finds a block in a slot checks it and frees it, or defers the free. Built three times: as it is (and
// with ThreadSanitizer), and against versions of the arena that are broken on purpose, which it must notice.
// Usage: arena_stress [operations per thread]
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "shim/doors/deferred_frees.h"
#include "tests/shim/fresh_arena.h"

namespace unknot {
namespace {

using testing::FreshArena;

// What stands at the start of every block; the rest is a pattern of it.
struct Stamp {
    std::uint64_t number;
    std::size_t words;
};

[[noreturn]] void broken(const char* what) {
    std::fprintf(stderr, "arena_stress: %s\n", what);
    std::_Exit(1);
}

void stamp(void* block, std::size_t bytes, std::uint64_t number) {
    auto* words = static_cast<std::uint64_t*>(block);
    *static_cast<Stamp*>(block) = {number, bytes / 8};
    for (std::size_t i = 2; i < bytes / 8; i += 1 + i / 4) words[i] = number + i;
    words[bytes / 8 - 1] = ~number;
}

void check(const void* block) {
    const auto* words = static_cast<const std::uint64_t*>(block);
    const Stamp& found = *static_cast<const Stamp*>(block);
    if (found.words < 4 || found.words > 100000) broken("a block lost its stamp");
    if (words[found.words - 1] != ~found.number) broken("a block lost its last word");
    for (std::size_t i = 2; i < found.words - 1; i += 1 + i / 4) {
        if (words[i] != found.number + i) broken("a block lost its contents");
    }
}

class Stress {
  public:
    void thread(unsigned seed, std::uint64_t operations) {
        std::minstd_rand random(seed);
        ArenaCursor cursor{};
        std::uint64_t number = std::uint64_t{seed} << 40;
        for (std::uint64_t i = 0; i < operations; ++i) {
            std::atomic<void*>& slot = slots_[random() % slots_.size()];
            void* fresh = make(cursor, random, ++number);
            if (void* old = slot.exchange(fresh, std::memory_order_acq_rel)) give_up(cursor, old, random);
            if (i % 64 == 0) drain(cursor);
            if (i % 256 == 0) cursor.in_stretch = true;
            if (i % 256 == 200) fresh_.arena.end_of_stretch(cursor);
            if (i % 512 == 0) fresh_.arena.retire(cursor);  // as if the thread had ended
        }
        drain(cursor);
        fresh_.arena.retire(cursor);
        fresh_.arena.publish(cursor);
    }

    void finish() {
        ArenaCursor& cursor = fresh_.cursor;
        drain(cursor);
        for (auto& slot : slots_) {
            if (void* block = slot.exchange(nullptr, std::memory_order_acq_rel)) {
                check(block);
                fresh_.arena.deallocate(cursor, block);
            }
        }
        fresh_.arena.retire(cursor);
        if (fresh_.live_blocks() != 0 || fresh_.live_bytes() != 0) broken("blocks are live that nobody has");
        if (fresh_.page.arena_committed > 16 * chunk_size) broken("pages of empty chunks were not given back");
        // Chunks that were lost would be missing from the address space; so much is live at a time at the very most.
        if (fresh_.page.arena_peak > std::uint64_t{600} * chunk_size) broken("chunks were lost");
        if (fresh_.page.chunks_recycled == 0) broken("nothing was recycled: this run shows nothing");
        std::printf("recycled %lu chunks, %lu large blocks, peak %lu KiB\n", fresh_.page.chunks_recycled,
                    fresh_.page.large_blocks, fresh_.page.arena_peak >> 10);
    }

  private:
    void* make(ArenaCursor& cursor, std::minstd_rand& random, std::uint64_t number) {
        const std::size_t kind = random() % 200;
        const std::size_t size = kind == 0 ? 100000 : kind < 4 ? 40000 : kind < 40 ? 8000 : 32 + random() % 1500;
        void* block = fresh_.arena.allocate(cursor, size, kind % 8 == 0 ? 256 : 16);
        if (block == nullptr) broken("no room, far below the limit");
        if (kind == 5) {
            stamp(block, size / 8 * 8, number);
            if (fresh_.arena.resize_in_place(cursor, block, size + 64)) stamp(block, size + 64, number);
            return block;
        }
        stamp(block, size / 8 * 8, number);
        return block;
    }

    void give_up(ArenaCursor& cursor, void* block, std::minstd_rand& random) {
        check(block);
        if (random() % 4 != 0) return fresh_.arena.deallocate(cursor, block);
        auto* record = static_cast<DeferredFree*>(fresh_.arena.allocate(cursor, sizeof(DeferredFree)));
        record->call = {.pointer = block, .row = DeallocationRow::free};
        deferred_.push(record);
    }

    void drain(ArenaCursor& cursor) {
        for (DeferredFree* record = deferred_.take_all(); record != nullptr;) {
            DeferredFree* next = record->next;
            check(record->call.pointer);
            fresh_.arena.deallocate(cursor, record->call.pointer);
            fresh_.arena.deallocate(cursor, record);
            record = next;
        }
    }

    FreshArena fresh_{std::size_t{256} << 20};
    std::array<std::atomic<void*>, 256> slots_{};
    DeferredFrees deferred_;
};

// The list of spans alone, as short as it can be, so that a pop meets a span that came back in between.
void stress_the_list(std::uint64_t operations) {
    static Chunk chunks[3];
    static std::atomic<int> holders[3];
    static SpanList list;
    for (std::uint32_t i = 0; i < 3; ++i) list.push(chunks, i);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([operations] {
            for (std::uint64_t i = 0; i < operations; ++i) {
                const std::int64_t first = list.pop(chunks);
                const std::int64_t second = list.pop(chunks);
                for (const std::int64_t index : {first, second}) {
                    if (index >= 0 && holders[index].fetch_add(1, std::memory_order_relaxed) != 0) {
                        broken("a span was handed out twice");
                    }
                }
                for (const std::int64_t index : {first, second}) {
                    if (index < 0) continue;
                    holders[index].fetch_sub(1, std::memory_order_relaxed);
                    list.push(chunks, static_cast<std::uint32_t>(index));
                }
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (int i = 0; i < 3; ++i) {
        if (list.pop(chunks) < 0) broken("a span was lost");
    }
    if (list.pop(chunks) >= 0) broken("a span is in the list twice");
}

}  // namespace
}  // namespace unknot

int main(int argc, char** argv) {
    using namespace unknot;
    testing::no_core_dumps();
    // A broken arena may hand out a list that leads nowhere: that is noticed too, and said.
    std::signal(SIGSEGV, [](int) {
        constexpr char words[] = "arena_stress: an address leads nowhere\n";
        if (write(2, words, sizeof words - 1) < 0) std::_Exit(2);
        std::_Exit(1);
    });
    const std::uint64_t operations = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200000;
    stress_the_list(operations * 4);
    static Stress stress;
    std::vector<std::thread> threads;
    for (unsigned seed = 1; seed <= 6; ++seed) {
        threads.emplace_back([seed, operations] { stress.thread(seed, operations); });
    }
    for (std::thread& thread : threads) thread.join();
    stress.finish();
}
