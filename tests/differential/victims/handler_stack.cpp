// SPDX-License-Identifier: Apache-2.0
// A handler on a stack of its own walks, and leaves for the main stack while it is in the callback; afterwards another
// thread has blocks made that this one frees in a walk and outside.
#include <csetjmp>
#include <csignal>

#include "tests/differential/stage.h"

namespace {

sigjmp_buf landing;
char other_stack[64 * 1024];

void walk_and_leave(int) {
    stage::inside_walk([] { siglongjmp(landing, 1); });
}

}  // namespace

int main() {
    stage::warm_up();
    stack_t stack{};
    stack.ss_sp = other_stack;
    stack.ss_size = sizeof other_stack;
    sigaltstack(&stack, nullptr);
    struct sigaction action {};
    action.sa_handler = walk_and_leave;
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &action, nullptr);
    for (int i = 0; i < 50; ++i) {
        if (sigsetjmp(landing, 1) == 0) std::raise(SIGUSR1);
        for (int k = 0; k < 2000; ++k) stage::allocate_and_free(1000);
        for (const char* what : {"walk", "walk_allocating", "load", "load_failing", "throw"}) stage::work(what);
    }
    std::puts("landed");
    return 0;
}
