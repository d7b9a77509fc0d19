// SPDX-License-Identifier: Apache-2.0
// Forks by the thread that is itself inside the loader: in the callback of a walk, in a constructor or destructor that
// dlopen or dlclose runs, in a signal handler that has interrupted one of them. The child goes on from there.
//   fork_inside walk|constructor|handler ends|goes_on
#include <csignal>

#include "tests/differential/stage.h"

namespace {

bool goes_on;
bool is_child;
bool forks_in_constructor;

// True: the child, which has to go on.
bool fork_here() {
    const pid_t child = fork();
    if (child == 0) {
        if (!goes_on) _exit(0);
        return is_child = true;
    }
    stage::expect_to_end_well(child);
    ++stage::steps();
    return false;
}

[[noreturn]] void use_it_all() {
    for (const char* what :
         {"walk", "walk_allocating", "allocate", "load", "load_failing", "look_up", "throw", "walk"}) {
        stage::work(what);
    }
    _exit(0);
}

void in_a_walk() {
    void* outside = stage::seen(std::malloc(5000));
    void* inside = nullptr;
    stage::inside_walk([&] {
        if (!fork_here()) return;
        std::free(outside);
        inside = stage::seen(std::malloc(5000));
        stage::expect(stage::count_objects() > 3, "a walk inside the child's walk sees the objects");
    });
    if (is_child) {
        std::free(inside);
        use_it_all();
    }
    std::free(outside);
}

void in_a_constructor() {
    forks_in_constructor = true;
    void* library = dlopen("calls_back.so", RTLD_NOW);
    forks_in_constructor = false;
    stage::expect(library != nullptr, "the library is loaded");
    dlclose(library);
    if (is_child) use_it_all();
}

void in_a_handler() {
    std::signal(SIGUSR1, [](int) { fork_here(); });
    stage::inside_walk([] { std::raise(SIGUSR1); });
    if (is_child) use_it_all();
}

}  // namespace

// libraries/calls_back.c
extern "C" void when_loaded() {
    if (forks_in_constructor) fork_here();
}
extern "C" void when_unloaded() {}

int main(int, char** argv) {
    stage::warm_up();
    goes_on = argv[2] == std::string_view("goes_on");
    const std::string_view where = argv[1];
    {
        const stage::Bystander walks([] { stage::work("walk"); });
        for (int i = 0; i < 60; ++i) {
            if (where == "walk") in_a_walk();
            if (where == "constructor") in_a_constructor();
            if (where == "handler") in_a_handler();
        }
    }
    std::puts("forked");
    return 0;
}
