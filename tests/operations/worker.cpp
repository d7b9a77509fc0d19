// SPDX-License-Identifier: Apache-2.0
#include "tests/operations/worker.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "examples/phdr_deadlock/growth.h"
#include "tests/doors/contexts.h"
#include "tests/operations/failure.h"
#include "tests/operations/signals.h"
#include "tests/process/system.h"

namespace operations {

namespace {

thread_local Worker* current = nullptr;

// mimalloc 2.0.9 aligns 512 bytes at 512 to 128.
constexpr std::size_t alignments[] = {16, 32, 64, 4096};

const char* const plugins[] = {UNKNOT_PLUGIN_FOLDER "/operations_plugin_0.so",
                               UNKNOT_PLUGIN_FOLDER "/operations_plugin_1.so",
                               UNKNOT_PLUGIN_FOLDER "/operations_plugin_2.so", "/no/such/plug-in.so"};

[[noreturn]] void fail_at(const char* door, const char* what, const Block& block) {
    fail("%s(size %zu, alignment %zu) %s: %p", door, block.wish.size, block.wish.alignment, what, block.memory);
}

bool has(std::string_view name, std::string_view word) {
    return name.find(word) != std::string_view::npos;
}

const doors::Allocation& aligned_door() {
    for (const doors::Allocation& door : doors::standard().allocations) {
        if (door.family == doors::Family::c_aligned) return door;
    }
    fail("no aligned door");
}

}  // namespace

extern "C" [[gnu::visibility("default")]] void operations_constructor_runs() {
    if (current != nullptr) current->in_constructor();
}

Worker::Worker(Slots& slots, std::uint64_t seed, const Settings& settings)
    : slots_(slots), seed_(seed), settings_(settings) {}

void Worker::run(std::size_t operations) {
    current = this;
    const Sampled sampled;
    for (std::size_t i = 0; i < operations; ++i) {
        place = {.seed = seed_, .operation = i};
        // Afresh for every operation: how many numbers the one before drew depended on the other threads.
        random_.seed(seed_ * 1'000'003 + i);
        one_operation();
    }
    current = nullptr;
}

void Worker::in_constructor() {
    if (!std::exchange(stretches_, false)) return a_few_blocks();
    for (int i = 0; i < 400; ++i) {
        const std::size_t dice = below(100);
        if (dice < 45)
            allocate();
        else if (dice < 90)
            deallocate();
        else
            reallocate();
    }
}

void Worker::one_operation() {
    ++tally_.operations;
    const std::size_t dice = below(1000);
    if (is_child_ && settings_.unwinds && !inside_walk_) return in_a_walk();
    if (dice < 380) return allocate();
    if (dice < 700) return deallocate();
    if (dice < 800) return reallocate();
    if (dice < 805) return ask_for_too_much();
    if (depth_ >= 3) return;
    if (dice < 920) return in_a_walk();
    if (is_child_) return;  // what comes now may want a lock that another thread of the parent held
    if (dice < 940) return grow();
    if (dice < 965) return throw_and_catch();
    if (dice < 975) return unknot::process::callbacks_may_throw ? throw_out_of_a_walk() : throw_and_catch();
    // dlopen inside a walk takes the loader's locks in the wrong order, with or without a shim.
    if (dice < 988) return inside_walk_ ? allocate() : load_and_unload();
    if (dice < 992) return settings_.deep && !inside_walk_ ? load_deep_plugin() : allocate();
    // The lock comes before the loader's, here as in a fork.
    if (dice < 998) return settings_.locks && depth_ == 0 ? work_under_a_lock() : allocate();
    if (dice < 999) return settings_.stretches && depth_ == 0 ? work_in_constructor_for_long() : allocate();
    if (depth_ == 0 && settings_.forks) fork_a_child();
}

// Small ones mostly, every now and then one that gets pages of its own.
std::size_t Worker::some_size() {
    const std::size_t bits = below(100) < 95 ? below(13) : below(21);
    return below((std::size_t{1} << bits) + 1);
}

const doors::Doors& Worker::some_doors() {
    return settings_.vendor && below(2) == 0 && !doors::vendors().allocations.empty() ? doors::vendors()
                                                                                      : doors::standard();
}

Block Worker::make(const doors::Allocation& door) {
    Block block{.from = &door, .wish = {some_size(), alignments[below(std::size(alignments))]}};
    if (!door.takes_alignment) block.wish.alignment = 16;
    if (has(door.name, "small")) block.wish.size %= 1000;
    // See tests/doors: an empty aligned block, deleted with its size, breaks jemalloc.
    if (block.wish.size == 0) block.wish.size = 1;
    block.memory = door.call(block.wish);
    if (block.memory == nullptr) fail_at(door.name, "returned NULL", block);
    block.size = door.size_of(block.wish);
    block.is_resizable = door.family == doors::Family::c && !has(door.name, "valloc");
    const auto address = reinterpret_cast<std::uintptr_t>(block.memory);
    if (block.size >= 16 && address % door.alignment_of(block.wish) != 0) fail_at(door.name, "is not aligned", block);
    if (door.zeroes) {
        const auto* bytes = static_cast<const unsigned char*>(block.memory);
        if (bytes[0] != 0 || std::memcmp(bytes, bytes + 1, block.size - 1) != 0) fail("not zeroed");
    }
    fill(block);
    return block;
}

void Worker::release(const Block& block) {
    check(block, "free");
    const doors::Doors& all = some_doors();
    for (std::size_t i = below(all.deallocations.size()), tried = 0;; ++i, ++tried) {
        const doors::Doors& from = tried < all.deallocations.size() ? all : doors::standard();
        const doors::Deallocation& door = from.deallocations[i % from.deallocations.size()];
        if (doors::fits(*block.from, door)) return door.call(block.memory, {block.size, block.wish.alignment});
    }
}

void Worker::allocate() {
    const std::vector<doors::Allocation>& all = some_doors().allocations;
    const Block block = make(all[below(all.size())]);
    if (!slots_.put(below(slot_count), block)) release(block);
}

void Worker::deallocate() {
    if (const auto block = slots_.take(below(slot_count))) release(*block);
}

void Worker::reallocate() {
    auto block = slots_.take(below(slot_count));
    if (!block) return;
    if (!block->is_resizable) return release(*block);
    check(*block, "realloc");
    const std::vector<doors::Reallocation>& all = some_doors().reallocations;
    const doors::Reallocation& door = all[below(all.size())];
    const unsigned char first = static_cast<unsigned char*>(block->memory)[0];
    // From here on it is what realloc makes: a block for free, without a size (rallocx has aligned it).
    static const doors::Allocation& like = aligned_door();
    const std::size_t wanted = some_size() + 1;
    void* moved = door.call(block->memory, wanted);
    if (moved == nullptr) fail("%s returned NULL", door.name);
    if (static_cast<unsigned char*>(moved)[0] != first) fail("realloc lost the contents");
    *block = {.memory = moved, .from = &like, .wish = {wanted, 16}, .size = wanted, .is_resizable = true};
    fill(*block);
    if (!slots_.put(below(slot_count), *block)) release(*block);
}

void Worker::a_few_blocks() {
    ++depth_;
    for (std::size_t i = below(12); i > 0; --i) {
        const std::size_t dice = below(10);
        if (dice < 4)
            allocate();
        else if (dice < 8)
            deallocate();
        else if (dice < 9)
            reallocate();
        else
            one_operation();
    }
    --depth_;
}

void Worker::in_a_walk() {
    ++tally_.walks;
    const auto callback = [](dl_phdr_info*, std::size_t, void* data) {
        auto& worker = *static_cast<Worker*>(data);
        const bool before = std::exchange(worker.inside_walk_, true);
        if (worker.settings_.signals) let_handler_allocate();
        worker.a_few_blocks();
        worker.inside_walk_ = before;
        return worker.below(4) == 0 ? 1 : 0;
    };
    dl_iterate_phdr(callback, this);
}

void Worker::throw_out_of_a_walk() {
    ++tally_.throws;
    const unsigned depth = depth_;
    const bool inside_walk = inside_walk_;
    try {
        dl_iterate_phdr(
            [](dl_phdr_info*, std::size_t, void* data) -> int {
                static_cast<Worker*>(data)->inside_walk_ = true;
                static_cast<Worker*>(data)->a_few_blocks();
                throw std::runtime_error("out of a walk");
            },
            this);
    } catch (const std::runtime_error&) {
        depth_ = depth;
        inside_walk_ = inside_walk;
        return a_few_blocks();
    }
    fail("an exception did not leave the walk");
}

void Worker::throw_and_catch() {
    ++tally_.throws;
    try {
        a_few_blocks();
        throw std::logic_error("an exception with a text that needs a block of its own, as it is long");
    } catch (const std::logic_error& error) {
        if (std::strlen(error.what()) < 50) fail("the exception's text is gone");
    }
}

void Worker::load_and_unload() {
    ++tally_.loads;
    void* plugin = dlopen(plugins[below(std::size(plugins))], RTLD_NOW | RTLD_LOCAL);
    a_few_blocks();
    if (plugin == nullptr) return (void)dlerror();
    auto* answer = reinterpret_cast<int (*)()>(dlsym(plugin, "operations_plugin_answer"));
    if (answer == nullptr || answer() != 42) fail("the plug-in does not answer");
    dlclose(plugin);
}

// Blocks from 512 call sites, on top of each other: the heap has to grow, and an allocator that records where has to
// unwind.
void Worker::grow() {
    ++tally_.grown;
    static const doors::Allocation& like = aligned_door();  // of which free takes no size
    for (int i = 0; i < 4; ++i) {
        void* memory = growth::allocate_from[below(growth::sites)]();
        if (memory == nullptr) return;
        Block block{.memory = memory, .from = &like, .wish = {64, 16}, .size = 64, .is_resizable = true};
        fill(block);
        if (!slots_.put(below(slot_count), block)) {
            check(block, "free");
            std::free(memory);
        }
    }
}

void Worker::ask_for_too_much() {
    static volatile std::size_t too_much = std::size_t{PTRDIFF_MAX} - 4096;
    // Only where the shim answers: tcmalloc writes a report for every such call.
    if (!doors::is_protected() || depth_ == 0) return;
    dl_iterate_phdr(
        [](dl_phdr_info*, std::size_t, void*) {
            std::free(std::malloc(too_much + 8192));
            if (::operator new(too_much + 8192, std::nothrow) != nullptr) fail("got too much");
            return 1;
        },
        nullptr);
}

void Worker::fork_a_child() {
    ++tally_.forks;
    const pid_t pid = fork();
    if (pid < 0) return;
    if (pid == 0) {
        is_child_ = true;
        for (int i = 0; i < 60; ++i) one_operation();
        std::_Exit(0);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (status != 0) fail("a child of a fork failed, wait status 0x%x", static_cast<unsigned>(status));
}

}  // namespace operations
