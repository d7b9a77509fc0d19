// SPDX-License-Identifier: Apache-2.0
// What the standards and glibc's manual say about the edges: nothing, too much, odd alignments, no memory.
//   contracts <where> [reference|memcheck]
// `reference` leaves out where glibc itself, or another allocator, differs from what it documents; `memcheck` where the
// operators that memcheck puts in libstdc++'s place do: its nothrow forms know no new_handler.
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>
#include <string_view>

#include "tests/doors/contexts.h"
#include "tests/doors/doors.h"

using namespace doors;

extern "C" void* reallocarray(void*, std::size_t, std::size_t) noexcept;
extern "C" void* pvalloc(std::size_t) noexcept;
extern "C" void* valloc(std::size_t) noexcept;

namespace {

bool reference = false;
bool memcheck = false;
// Volatile: the compiler knows that nobody can have so much.
volatile std::size_t too_much[] = {SIZE_MAX, SIZE_MAX - 4096, std::size_t{PTRDIFF_MAX} + 1};
bool plain_realloc_zero_frees = false;

// What aligned_alloc does with an alignment that is none: standards and allocators differ.
enum class Odd { refused, accepted, fatal };
constexpr std::size_t odd_alignments[] = {0, 3, 24};
Odd plain_aligned_alloc[std::size(odd_alignments)];

template <class Call>
void fails_with(int expected, const char* door, Call call) {
    errno = 0;
    void* const block = call();
    expect(block == nullptr, door, "returns NULL");
    expect(errno == expected, door, expected == ENOMEM ? "sets ENOMEM" : "sets EINVAL");
    std::free(block);
}

void c_family_refuses_too_much() {
    for (const std::size_t size : too_much) {
        fails_with(ENOMEM, "malloc", [&] { return std::malloc(size); });
        fails_with(ENOMEM, "calloc", [&] { return std::calloc(1, size); });
        fails_with(ENOMEM, "memalign", [&] { return memalign(64, size); });
        fails_with(ENOMEM, "aligned_alloc", [&] { return std::aligned_alloc(64, size & ~std::size_t{63}); });
        fails_with(ENOMEM, "valloc", [&] { return valloc(size); });
        fails_with(ENOMEM, "pvalloc", [&] { return pvalloc(size); });
        fails_with(ENOMEM, "realloc of nothing", [&] { return std::realloc(nullptr, size); });
    }
    fails_with(ENOMEM, "calloc whose product overflows", [&] { return std::calloc(too_much[0] / 4, 8); });
    fails_with(ENOMEM, "reallocarray of nothing", [&] { return reallocarray(nullptr, too_much[0] / 4, 8); });
}

void posix_memalign_fails_with(int expected, std::size_t alignment, std::size_t size) {
    char untouched = 0;
    void* out = &untouched;
    errno = 4711;
    const int result = posix_memalign(&out, alignment, size);
    expect(result == expected, "posix_memalign", "returns the error", alignment);
    expect(out == &untouched, "posix_memalign", "leaves the pointer alone when it fails", alignment);
    expect(errno == 4711 || reference, "posix_memalign", "leaves errno alone when it fails", alignment);
}

void alignments() {
    for (const std::size_t odd : {0, 1, 2, 4, 3, 12, 24, 4095}) posix_memalign_fails_with(EINVAL, odd, 100);
    posix_memalign_fails_with(ENOMEM, 64, too_much[0]);
    if (reference) return;
    fails_with(EINVAL, "memalign", [] { return memalign(too_much[0], 1); });
    for (std::size_t i = 0; i < std::size(odd_alignments); ++i) {
        const std::size_t odd = odd_alignments[i];
        if (memcheck) break;  // it refuses what the allocator in whose place it stands accepts
        if (plain_aligned_alloc[i] == Odd::refused) {
            fails_with(EINVAL, "aligned_alloc", [&] { return std::aligned_alloc(odd, 8); });
        }
        if (plain_aligned_alloc[i] != Odd::accepted) continue;
        void* const block = std::aligned_alloc(odd, 8);
        expect(block != nullptr, "aligned_alloc", "accepts what the allocator accepts", odd);
        std::free(block);
    }
    void* const block = memalign(24, 10);
    expect(block != nullptr && reinterpret_cast<std::uintptr_t>(block) % 32 == 0, "memalign",
           "takes the next power of two");
    std::free(block);
}

void nothing() {
    void* const one = std::malloc(0);
    void* const other = std::malloc(0);
    expect(one != nullptr && other != nullptr && one != other, "malloc", "gives nothing an address of its own");
    std::free(one);
    std::free(other);
    void* const object = ::operator new(0);
    void* const another = ::operator new(0);
    expect(object != nullptr && object != another, "operator new", "gives nothing an address of its own");
    ::operator delete(object);
    ::operator delete(another);
    errno = 4711;
    for (const Deallocation& door : standard().deallocations) door.call(nullptr, {100, 64});
    expect(errno == 4711, "every deallocation", "does nothing with NULL");
    expect(malloc_usable_size(nullptr) == 0, "malloc_usable_size", "is 0 for NULL");
}

// Tried in a child: debug builds end the process.
Odd try_aligned_alloc(std::size_t odd) {
    const pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        _exit(std::aligned_alloc(odd, 8) == nullptr ? 1 : 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status)) return Odd::fatal;
    return WEXITSTATUS(status) == 0 ? Odd::accepted : Odd::refused;
}

bool realloc_zero_frees() {
    return std::realloc(std::malloc(100), 0) == nullptr;
}

void reallocations() {
    expect(realloc_zero_frees() == plain_realloc_zero_frees, "realloc", "does with no bytes what the allocator does");
    void* block = std::malloc(100);
    std::memset(block, 0x5a, 100);
    void* volatile same_block = block;  // g++ takes a refused block for a freed one
    fails_with(ENOMEM, "reallocarray", [&] { return reallocarray(same_block, too_much[0] / 4, 8); });
    expect(static_cast<char*>(block)[99] == 0x5a, "reallocarray", "leaves the block alone when it fails");
    std::free(block);
}

int handler_calls = 0;

void gives_up_at_the_third_call() {
    if (++handler_calls == 3) std::set_new_handler(nullptr);
}
void throws() {
    ++handler_calls;
    throw std::bad_alloc();
}

// 1: threw std::bad_alloc; 0: returned NULL; -1: returned a block.
int outcome(const Allocation& door, Wish wish) {
    try {
        return door.call(wish) == nullptr ? 0 : -1;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

void operators_fail_as_the_standard_says() {
    for (const Allocation& door : standard().allocations) {
        if (door.family == Family::c || door.family == Family::c_aligned) continue;
        const int failure = door.throws ? 1 : 0;
        std::set_new_handler(nullptr);
        expect(outcome(door, {too_much[2], 64}) == failure, door.name, "fails in its own way");
        // Rounding it up to a multiple of 64 gives libstdc++ 12 nothing to allocate, successfully.
        if (!reference) expect(outcome(door, {too_much[0], 64}) == failure, door.name, "fails in its own way");
        if (door.takes_alignment && !reference) {
            expect(outcome(door, {100, 24}) == failure, door.name, "refuses an alignment that is none", 24);
        }
        if (memcheck && !door.throws) continue;
        handler_calls = 0;
        std::set_new_handler(gives_up_at_the_third_call);
        expect(outcome(door, {too_much[2], 64}) == failure, door.name, "fails once the handler gives up");
        expect(handler_calls == 3, door.name, "asks the handler before it fails");
        handler_calls = 0;
        std::set_new_handler(throws);
        expect(outcome(door, {too_much[2], 64}) == failure, door.name, "fails when the handler throws");
        expect(handler_calls == 1, door.name, "asks the handler once when it throws");
        std::set_new_handler(nullptr);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const auto where = argc >= 2 ? context_named(argv[1]) : std::nullopt;
    if (!where) {
        std::fprintf(stderr, "usage: contracts <plain, thread, walk or constructor> [reference|memcheck]\n");
        return 2;
    }
    reference = argc == 3 && std::string_view(argv[2]) == "reference";
    memcheck = argc == 3 && std::string_view(argv[2]) == "memcheck";
    plain_realloc_zero_frees = realloc_zero_frees();
    for (std::size_t i = 0; i < std::size(odd_alignments); ++i) {
        plain_aligned_alloc[i] = try_aligned_alloc(odd_alignments[i]);
    }
    run_in(*where, [&] {
        c_family_refuses_too_much();
        alignments();
        nothing();
        reallocations();
        operators_fail_as_the_standard_says();
    });
    expect(counter(&unknot::StatsPage::forwarded) == 0, "every door", "no call went to the allocator under a lock");
    return verdict();
}
