// SPDX-License-Identifier: Apache-2.0
// A constructor run by dlopen owns the load lock and waits, and another thread wants that lock: hangs that no allocator
// takes part in, and processes that only look like them.
//   stuck_loading SHAPE LIBRARY
#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>

namespace {

std::mutex lock;
std::condition_variable changed;
bool brought = false;
std::atomic<bool> held = false;
std::thread worker;
int no_news[2];

// Takes the load lock, for as long as it looks.
void* ask_loader() {
    return dlsym(RTLD_DEFAULT, "no_such_symbol");
}

void start(std::function<void()> work) {
    worker = std::thread(std::move(work));
}

void wait_for_news() {
    std::unique_lock own(lock);
    changed.wait(own, [] { return brought; });
}

void bring_news_when_loaded() {
    start([] {
        ask_loader();
        std::lock_guard own(lock);
        brought = true;
        changed.notify_all();
    });
}

void tick() {
    for (;;) usleep(10'000);
}

struct Shape {
    const char* name;
    void (*during_load)();
};

const Shape shapes[] = {
    // Dead, and the shim would not have helped.
    {"joins", [] { start([] { ask_loader(); }), worker.join(); }},
    {"joins_at_exit", [] { start([] { ask_loader(); }), std::atexit([] { worker.join(); }), std::exit(3); }},
    {"waits_for_news", [] { bring_news_when_loaded(), wait_for_news(); }},
    {"takes_lock",
     [] {
         start([] {
             std::lock_guard own(lock);
             held = true;
             ask_loader();
         });
         while (!held) usleep(1000);
         std::lock_guard own(lock);
     }},
    // Dead too, but a thread ticks that might have brought the news.
    {"waits_beside_ticker", [] { bring_news_when_loaded(), std::thread(tick).detach(), wait_for_news(); }},
    // Alive: somebody may write; and one that works.
    {"reads_pipe",
     [] {
         start([] { ask_loader(); });
         char byte;
         if (read(no_news[0], &byte, 1) < 0) std::abort();
     }},
    {"works", [] { start([] { ask_loader(); }), tick(); }},
};

const Shape* chosen = nullptr;

}  // namespace

// Called by the constructor of the library.
extern "C" [[gnu::visibility("default")]] void hold_loader_locks() {
    chosen->during_load();
}

int main(int argc, char** argv) {
    for (const Shape& shape : shapes)
        if (argc == 3 && std::strcmp(shape.name, argv[1]) == 0) chosen = &shape;
    if (chosen == nullptr || pipe(no_news) != 0 || write(STDOUT_FILENO, "ready\n", 6) != 6) return 2;
    return dlopen(argv[2], RTLD_NOW) == nullptr ? 1 : 0;
}
