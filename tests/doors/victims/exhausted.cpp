// SPDX-License-Identifier: Apache-2.0
// Every door once the arena is full, inside a walk: under UNKNOT_ARENA_FULL=fail it fails as its contract says, under
// forward it is served by the allocator and counted. Wants UNKNOT_ARENA_MAX=256K.
//   exhausted fail|forward
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>
#include <string_view>

#include "tests/doors/contexts.h"
#include "tests/doors/doors.h"

using namespace doors;
using unknot::StatsPage;

namespace {

constexpr std::size_t more_than_is_left = 40'000;
bool must_fail = false;
void* hoard[128];
std::size_t hoarded = 0;

std::uint64_t refused() {
    return counter(must_fail ? &StatsPage::failed : &StatsPage::forwarded);
}

void fill_the_arena() {
    const std::uint64_t before = refused();
    while (hoarded != std::size(hoard)) {
        hoard[hoarded] = std::malloc(4000);
        if (refused() != before) return std::free(hoard[hoarded]);
        ++hoarded;
    }
}

void release_the_hoard() {
    while (hoarded != 0) std::free(hoard[--hoarded]);
}

// Three handlers: one that helps, one that gives up, and none.
int handler_calls = 0;
void helps() {
    if (++handler_calls == 10) std::set_new_handler(nullptr);
    release_the_hoard();
}
void gives_up() {
    if (++handler_calls == 2) std::set_new_handler(nullptr);
}

struct Attempt {
    void* block = nullptr;
    bool threw = false;
};

Attempt attempt(const Allocation& door) {
    try {
        return {.block = door.call({more_than_is_left, 64})};
    } catch (const std::bad_alloc&) {
        return {.threw = true};
    }
}

void free_again(const Allocation& door, void* block) {
    for (const Deallocation& back : standard().deallocations) {
        if (!fits(door, back)) continue;
        return back.call(block, {more_than_is_left, 64});
    }
}

bool is_operator(const Allocation& door) {
    return door.family != Family::c && door.family != Family::c_aligned;
}

void check_failure(const Allocation& door) {
    const std::uint64_t before = refused();
    errno = 0;
    const Attempt tried = attempt(door);
    expect(tried.block == nullptr && tried.threw == door.throws, door.name, "fails in its own way");
    expect(refused() > before, door.name, "is counted as failed");
    if (!is_operator(door) && std::string_view(door.name) != "posix_memalign") {
        expect(errno == ENOMEM, door.name, "sets ENOMEM");
    }
    if (!is_operator(door)) return;
    handler_calls = 0;
    std::set_new_handler(gives_up);
    const Attempt again = attempt(door);
    expect(again.block == nullptr && again.threw == door.throws, door.name, "fails once the handler gives up");
    expect(handler_calls == 2, door.name, "asks the handler until it gives up");
    handler_calls = 0;
    std::set_new_handler(helps);
    const Attempt helped = attempt(door);
    expect(helped.block != nullptr && handler_calls == 1, door.name, "succeeds once the handler has helped");
    std::set_new_handler(nullptr);
    if (helped.block != nullptr) free_again(door, helped.block);
    fill_the_arena();
}

void check_forwarding(const Allocation& door) {
    const std::uint64_t before = refused();
    const Attempt tried = attempt(door);
    expect(tried.block != nullptr && !tried.threw, door.name, "gets a block from the allocator");
    // More than once where the allocator's function calls another door: libstdc++'s operators call malloc.
    expect(refused() > before, door.name, "is counted as forwarded");
    if (tried.block != nullptr) std::memset(tried.block, 1, more_than_is_left);
    if (tried.block != nullptr) free_again(door, tried.block);
}

void check_reallocation(const Reallocation& door, void* block) {
    std::memset(block, 0x5a, 100);
    const std::uint64_t before = refused();
    errno = 0;
    void* const moved = door.call(block, more_than_is_left);
    expect((moved == nullptr) == must_fail, door.name, "does as the policy says");
    expect(!must_fail || errno == ENOMEM, door.name, "sets ENOMEM");
    expect(refused() > before, door.name, "is counted");
    const auto* bytes = static_cast<const unsigned char*>(moved != nullptr ? moved : block);
    expect(bytes[0] == 0x5a && std::memcmp(bytes, bytes + 1, 99) == 0, door.name, "keeps the contents");
    std::free(moved != nullptr ? moved : block);
    fill_the_arena();
}

void check_untouched_pointer() {
    char untouched = 0;
    void* out = &untouched;
    errno = 4711;
    expect(posix_memalign(&out, 64, more_than_is_left) == ENOMEM, "posix_memalign", "returns ENOMEM");
    expect(out == &untouched && errno == 4711, "posix_memalign", "leaves the pointer and errno alone");
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view policy = argc == 2 ? argv[1] : "";
    if (!is_protected() || (policy != "fail" && policy != "forward")) {
        std::fprintf(stderr, "usage: exhausted fail|forward, under the shim in protect mode\n");
        return 2;
    }
    must_fail = policy == "fail";
    standard();  // fills the lists while there is memory
    void* const ordinary[2] = {std::malloc(100), std::malloc(100)};
    run_in(Context::walk, [&] {
        void* const ours[2] = {std::malloc(100), std::malloc(100)};
        fill_the_arena();
        for (const Allocation& door : standard().allocations) {
            must_fail ? check_failure(door) : check_forwarding(door);
        }
        std::size_t i = 0;
        for (const Reallocation& door : standard().reallocations) {
            check_reallocation(door, ours[i]);
            check_reallocation(door, ordinary[i++]);
        }
        if (must_fail) check_untouched_pointer();
    });
    release_the_hoard();
    return verdict();
}
