// SPDX-License-Identifier: Apache-2.0
// Walks from a place in the code that has never allocated in one are let through with a mark and nothing at their end.
// What such a walk does after all is treated like everybody's: allocations are diverted, frees deferred and made up
// for, nested walks and exceptions leave nothing behind, and after it the thread is ordinary again.
#include <dlfcn.h>

#include <functional>

#include "policy/stats_page.h"
#include "tests/process/system.h"
#include "tests/walks/victims/stage.h"

namespace {

const unknot::StatsPage* page = nullptr;
using Action = std::function<void()>;

// The one place, and a few others.
template <int place = 0>
[[gnu::noinline]] void walk_with(const Action& action) {
    const auto callback = [](dl_phdr_info*, std::size_t, void* data) {
        const auto& given = *static_cast<const Action*>(data);
        if (given) given();
        return 1;
    };
    dl_iterate_phdr(callback, const_cast<Action*>(&action));
    asm volatile("" : : "i"(place));  // or the call becomes a jump, and the place is our caller's
}

void become_plain() {
    for (int walk = 0; walk < 300; ++walk) walk_with({});
}

// How many of the calls in `action` were not the allocator's.
std::uint64_t diverted_by(const Action& action) {
    const std::uint64_t before = page->diverted;
    action();
    return page->diverted - before;
}

void allocate_and_free() {
    std::free(scene::seen(std::malloc(100)));
}

void divert_and_defer() {
    void* ordinary = scene::seen(std::malloc(100));
    void* inside = nullptr;
    become_plain();
    const std::uint64_t diverted = diverted_by([&] {
        walk_with([&] {
            std::free(ordinary);
            inside = scene::seen(std::malloc(100));
        });
    });
    scene::expect(diverted == 1, "an allocation in a walk that was plain so far is diverted");
    scene::expect(page->deferred > page->drained, "a free in it is deferred");
    allocate_and_free();
    scene::expect(page->deferred == page->drained, "and made up for at the next call");
    std::free(inside);
}

void leave_the_thread_ordinary() {
    const std::uint64_t diverted = diverted_by([] {
        for (int round = 0; round < 1000; ++round) {
            walk_with({});
            allocate_and_free();
        }
    });
    scene::expect(diverted == 0, "allocations between plain walks are the allocator's");
}

void nest() {
    become_plain();
    const std::uint64_t diverted = diverted_by([] {
        walk_with([] {
            scene::inside_walk([] {});
            allocate_and_free();
        });
    });
    scene::expect(diverted == 1, "a walk within a plain walk does not end the outer one");
    allocate_and_free();
}

// Each is one when its turn comes again, until it allocates.
void alternate() {
    const auto from_each = [](const Action& action) {
        walk_with<0>({});
        walk_with<1>(action);
        walk_with<2>({});
        walk_with<3>({});
        walk_with<4>({});
    };
    from_each({});
    for (int round = 0; round < 3; ++round) {
        const std::uint64_t diverted = diverted_by([&] {
            from_each(allocate_and_free);
            allocate_and_free();
            from_each({});
            allocate_and_free();
        });
        scene::expect(diverted == 1, "of several places each is treated like every walk once it allocates");
    }
}

void throw_out() {
    become_plain();
    try {
        walk_with([] { throw 1; });
    } catch (int) {
    }
    scene::expect(diverted_by(allocate_and_free) == 0, "an exception ends a plain walk like any other");
}

void run() {
    for (int round = 0; round < 50; ++round) {
        divert_and_defer();
        leave_the_thread_ordinary();
        nest();
        alternate();
        if (unknot::process::callbacks_may_throw) throw_out();
    }
}

}  // namespace

int main() {
    page = static_cast<const unknot::StatsPage*>(dlsym(RTLD_DEFAULT, "unknot_stats"));
    scene::expect(page != nullptr, "the shim is here");
    const std::uint64_t walks = page->walks;
    std::thread(run).join();
    // 50 rounds of 301 + 1000 + 302 + 35 + 301 (the last if callbacks may throw), and the unwinder's own.
    const std::uint64_t each = 1638 + (unknot::process::callbacks_may_throw ? 301 : 0);
    scene::expect(page->walks - walks >= 50 * each, "every walk is counted");
    scene::progress("rounds", 50);
}
