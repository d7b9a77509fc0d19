// SPDX-License-Identifier: Apache-2.0
// Locks of the program, without any loader lock: hangs, and processes that only look like them.
//   stuck_alone SHAPE
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

namespace {

std::mutex first, second;
std::condition_variable changed;
std::atomic<int> holding = 0;

void take(std::mutex& one, std::mutex& other) {
    std::lock_guard own(one);
    ++holding;
    while (holding != 2) usleep(1000);
    std::lock_guard both(other);
}

struct Shape {
    const char* name;
    void (*run)();
};

const Shape shapes[] = {
    // Dead.
    {"two_orders", [] { std::thread([] { take(first, second); }).detach(), take(second, first); }},
    {"forked_with_lock",
     [] {
         std::thread([] { take(first, second); }).detach();
         while (holding != 1) usleep(1000);
         if (fork() == 0) std::lock_guard own(first);
         wait(nullptr);
     }},
    // Alive: a pool without work, and a lock that is held for long.
    {"idle_pool",
     [] {
         for (int i = 0; i < 4; ++i) {
             std::thread([] {
                 std::unique_lock own(first);
                 changed.wait(own, [] { return false; });
             }).detach();
         }
         pause();
     }},
    {"long_held",
     [] {
         std::lock_guard own(first);
         std::thread([] { std::lock_guard late(first); }).detach();
         pause();
     }},
};

}  // namespace

int main(int argc, char** argv) {
    for (const Shape& shape : shapes) {
        if (argc != 2 || std::strcmp(shape.name, argv[1]) != 0) continue;
        if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
        shape.run();
    }
    return 2;
}
