// SPDX-License-Identifier: Apache-2.0
// A handler, or the callback itself, jumps out of a walk: libc's lock stays owned by this thread for ever, which does
// not keep it from walking, loading and allocating like before.
//   jumps_out callback|handler
#include <csetjmp>
#include <csignal>

#include "tests/differential/stage.h"

namespace {

sigjmp_buf landing;

void jump(int) {
    siglongjmp(landing, 1);
}

}  // namespace

int main(int, char** argv) {
    stage::warm_up();
    std::signal(SIGUSR1, jump);
    const bool from_handler = argv[1] == std::string_view("handler");
    for (int i = 0; i < 3; ++i) {
        if (sigsetjmp(landing, 1) == 0) stage::inside_walk([=] { from_handler ? (void)std::raise(SIGUSR1) : jump(0); });
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
