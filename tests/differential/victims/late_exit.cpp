// SPDX-License-Identifier: Apache-2.0
// Works on while the process ends: in atexit handlers, static destructors, thread-local ones, and the destructor of a
// library that nobody has unloaded.
#include "tests/differential/stage.h"

namespace {

void work_on(const char* when) {
    for (const char* what : {"walk", "walk_allocating", "allocate", "load", "load_failing", "throw", "look_up"}) {
        stage::work(what);
    }
    dprintf(STDOUT_FILENO, "%s\n", when);
}

void* made_in_a_walk;

struct Last {
    const char* when;
    ~Last() {
        std::free(made_in_a_walk);
        made_in_a_walk = nullptr;
        work_on(when);
    }
} last{"static destructor"};

thread_local Last of_the_thread{"thread's destructor"};

}  // namespace

extern "C" void when_loaded() {
    work_on("library loaded");
}
extern "C" void when_unloaded() {
    work_on("library unloaded");
}

int main() {
    stage::warm_up();
    std::atexit([] { work_on("at exit"); });
    stage::expect(dlopen("calls_back.so", RTLD_NOW) != nullptr, "the library is loaded");
    stage::expect(of_the_thread.when != nullptr, "it is there");
    stage::inside_walk([] { made_in_a_walk = stage::seen(std::malloc(100)); });
    return 0;
}
