// SPDX-License-Identifier: Apache-2.0
// Does what programs do beside a preloaded allocator, and looks whether all of it comes out right: blocks of every kind
// inside and outside of a walk, loading, an exception, a thread, a fork. Writes "works", and " protected" where a
// walk's allocations were diverted and its frees deferred, and all of that is over in the end. Exits with 0 where it is
// protected, 4 where it works unprotected, 3 where it works without the shim.
// Usage: works [small|without-descriptors]: without thread and fork, for where there is room for neither; and with no
// file to be opened any more when it ends.
#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "tests/process/system.h"

#include "policy/stats_page.h"

namespace {

const unknot::StatsPage* page = nullptr;

struct Counters {
    std::uint64_t diverted = 0;
    std::uint64_t deferred = 0;
    std::uint64_t drained = 0;
    std::uint64_t live = 0;

    static Counters now() {
        return page == nullptr ? Counters{}
                               : Counters{page->diverted, page->deferred, page->drained, page->arena_live_blocks};
    }
};

[[noreturn]] void broken(const char* claim) {
    dprintf(2, "does not hold: %s\n", claim);
    _exit(1);
}

void expect(bool holds, const char* claim) {
    if (!holds) broken(claim);
}

// `bytes` of the block's own, so that a block that overlaps another is noticed.
void fill(void* block, std::size_t bytes) {
    expect(block != nullptr, "there is memory");
    std::memset(block, static_cast<int>(reinterpret_cast<std::uintptr_t>(block) >> 4 & 0xff), bytes);
}

bool is_filled(const void* block, std::size_t bytes, const void* as) {
    const auto* all = static_cast<const unsigned char*>(block);
    for (std::size_t i = 0; i < bytes; ++i) {
        if (all[i] != (reinterpret_cast<std::uintptr_t>(as) >> 4 & 0xff)) return false;
    }
    return true;
}

constexpr std::size_t sizes[] = {1, 24, 300, 5000, 70'000};
constexpr std::size_t count = sizeof sizes / sizeof *sizes;

struct Blocks {
    void* plain[count];
    void* zeroed[count];
    void* aligned[count];

    void take() {
        for (std::size_t i = 0; i < count; ++i) {
            fill(plain[i] = std::malloc(sizes[i]), sizes[i]);
            zeroed[i] = std::calloc(1, sizes[i]);
            expect(zeroed[i] != nullptr, "calloc has memory");
            for (std::size_t at = 0; at < sizes[i]; ++at) {
                expect(static_cast<char*>(zeroed[i])[at] == 0, "calloc's blocks are zero");
            }
            fill(zeroed[i], sizes[i]);
            expect(posix_memalign(&aligned[i], 256, sizes[i]) == 0, "posix_memalign has memory");
            expect(reinterpret_cast<std::uintptr_t>(aligned[i]) % 256 == 0, "posix_memalign aligns");
            fill(aligned[i], sizes[i]);
        }
    }
    void give_back() {
        for (std::size_t i = 0; i < count; ++i) {
            for (void* block : {plain[i], zeroed[i], aligned[i]}) {
                expect(is_filled(block, sizes[i], block), "a block keeps what was written to it");
            }
            void* grown = std::realloc(plain[i], 2 * sizes[i]);
            expect(grown != nullptr && is_filled(grown, sizes[i], plain[i]), "realloc keeps the contents");
            std::free(grown);
            std::free(zeroed[i]);
            std::free(aligned[i]);
        }
    }
};

template <class Action>
void inside_walk(Action action) {
    dl_iterate_phdr(
        [](dl_phdr_info*, std::size_t, void* data) {
            (*static_cast<Action*>(data))();
            return 1;
        },
        &action);
}

void* everything(void*) {
    Blocks before;
    Blocks during;
    before.take();
    inside_walk([&] {
        during.take();
        before.give_back();
    });
    during.give_back();
    dlerror();
    expect(dlopen("/nonexistent/library.so", RTLD_NOW) == nullptr && dlerror() != nullptr, "a failed dlopen says so");
    dlerror();  // gives back what the message was made of
    try {
        if (unknot::process::callbacks_may_throw) {
            inside_walk([] { throw 1; });
            broken("an exception leaves the walk");
        }
    } catch (int) {
    }
    before.take();
    before.give_back();
    inside_walk([] {});  // at the end of a walk the counters are exact
    return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
    const bool without_descriptors = argc > 1 && std::strcmp(argv[1], "without-descriptors") == 0;
    const bool small = argc > 1 && std::strcmp(argv[1], "small") == 0;
    page = static_cast<const unknot::StatsPage*>(dlsym(RTLD_DEFAULT, "unknot_stats"));
    everything(nullptr);  // once, so that what is made once is there
    const Counters start = Counters::now();
    everything(nullptr);
    if (!small) {
        pthread_t thread;
        expect(pthread_create(&thread, nullptr, everything, nullptr) == 0, "a thread starts");
        pthread_join(thread, nullptr);
        const pid_t child = fork();
        expect(child >= 0, "a fork succeeds");
        if (child == 0) {
            everything(nullptr);
            _exit(0);
        }
        int status = -1;
        waitpid(child, &status, 0);
        expect(status == 0, "the child does all that too");
    }
    const Counters end = Counters::now();
    const bool guarded = end.diverted - start.diverted >= 3 * count && end.deferred - start.deferred >= 3 * count &&
                         end.drained == end.deferred && end.live == start.live;
    const char* words = guarded ? "works protected\n" : "works\n";
    // Nothing is expected of a descriptor that may be closed.
    const ssize_t written = write(1, words, std::strlen(words));
    static_cast<void>(written);
    const rlimit none{0, 0};
    if (without_descriptors) setrlimit(RLIMIT_NOFILE, &none);
    return guarded ? 0 : page == nullptr ? 3 : 4;
}
