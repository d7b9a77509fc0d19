// SPDX-License-Identifier: Apache-2.0
// The scenery that the victims share: work inside a walk, and a thread that grows the heap meanwhile.
#pragma once

#include <link.h>
#include <semaphore.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "examples/phdr_deadlock/growth.h"

namespace scene {

// Above tcmalloc's largest size class: always asks the page heap, under its lock.
inline constexpr std::size_t large = 300'000;

// The compiler may remove a pair of malloc and free that nobody looks at.
template <class T>
T* seen(T* block) {
    asm volatile("" : "+r"(block));
    return block;
}

// Runs `action` once inside a dl_iterate_phdr callback, that is: owning the loader's write lock.
template <class Action>
void inside_walk(Action action) {
    const auto callback = [](dl_phdr_info*, std::size_t, void* data) {
        (*static_cast<Action*>(data))();
        return 1;
    };
    dl_iterate_phdr(callback, &action);
}

// In each walk a block from outside is freed and one is taken that is freed outside.
inline void exchange_blocks_in_walks(int walks) {
    for (int walk = 0; walk < walks; ++walk) {
        char* block = static_cast<char*>(seen(std::malloc(large)));
        inside_walk([&] {
            std::free(block);
            block = static_cast<char*>(seen(std::malloc(large)));
            block[large - 1] = 'x';
        });
        if (block[large - 1] != 'x') std::_Exit(1);
        std::free(block);
    }
}

// Says that something got done; the watcher takes silence for a hang.
inline void progress(const char* what, long count) {
    dprintf(STDOUT_FILENO, "%s %ld\n", what, count);
}

// Usable in signal handlers. (<semaphore> came with a later libstdc++ than Debian 11 has.)
class Semaphore {
  public:
    Semaphore() { sem_init(&semaphore_, 0, 0); }
    void release() { sem_post(&semaphore_); }
    void acquire() {
        while (sem_wait(&semaphore_) != 0) {  // interrupted by a signal
        }
    }

  private:
    sem_t semaphore_;
};

// A claim about what the program sees; the victim fails where it does not hold.
inline void expect(bool holds, const char* claim) {
    if (holds) return;
    dprintf(STDERR_FILENO, "does not hold: %s\n", claim);
    std::_Exit(1);
}

// A thread that grows the heap from when it is made until it is destroyed, up to 64 GiB of address space.
class Growth {
  public:
    ~Growth() {
        stop_ = true;
        thread_.join();
    }

  private:
    static constexpr std::size_t most_blocks = 32768;

    std::atomic<bool> stop_ = false;
    std::thread thread_{[this] {
        growth::Heap heap(most_blocks);
        for (std::size_t block = 0; block < most_blocks && !stop_; ++block) heap.grow();
    }};
};

}  // namespace scene
