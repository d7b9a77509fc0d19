// SPDX-License-Identifier: Apache-2.0
// Leaves a walk, or dlopen, by another way than its end: by a jump from the callback, from a handler or from a
// constructor, or with the end of the thread. libc's lock may stay owned by
// that thread for ever, which does not keep it from walking, loading and allocating like before.
//   jumps_out callback|handler|constructor|thread
#include <csetjmp>
#include <csignal>

#include "tests/differential/stage.h"

namespace {

sigjmp_buf landing;

bool constructor_jumps;

void jump(int) {
    siglongjmp(landing, 1);
}

void leave(std::string_view from) {
    if (from == "handler") return stage::inside_walk([] { std::raise(SIGUSR1); });
    if (from == "callback") return stage::inside_walk([] { jump(0); });
    if (from == "thread") {
        return std::thread([] {
                   stage::inside_walk([] {
                       stage::allocate_and_free(3000);
                       pthread_exit(nullptr);
                   });
               })
            .join();
    }
    constructor_jumps = true;
    dlopen("calls_back.so", RTLD_NOW);
}

}  // namespace

// libraries/calls_back.c
extern "C" void when_loaded() {
    if (constructor_jumps) jump(0);
}
extern "C" void when_unloaded() {}

int main(int, char** argv) {
    stage::warm_up();
    std::signal(SIGUSR1, jump);
    for (int i = 0; i < 3; ++i) {
        if (sigsetjmp(landing, 1) == 0) leave(argv[1]);
    }
    static char* ring[64];
    for (unsigned i = 0; i < 200'000; ++i) {
        std::free(ring[i % 64]);
        ring[i % 64] = static_cast<char*>(stage::seen(std::malloc(600)));
        std::memset(ring[i % 64], 1, 600);
        if (i % 20'000 == 0) {
            for (const char* what : {"walk", "load", "throw"}) stage::work(what);
        }
    }
    std::puts("landed");
    return 0;
}
