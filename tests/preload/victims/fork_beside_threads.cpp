// SPDX-License-Identifier: Apache-2.0
// Children forked while other threads grow the heap and free under the loader lock: in the child the thread ids have
// changed, and its walks must still be recognised as its own.
#include <sys/wait.h>

#include "tests/preload/victims/scene.h"

namespace {

[[noreturn]] void live_as_child() {
    scene::exchange_blocks_in_walks(20);
    delete[] scene::seen(new int[100'000]);
    std::exit(0);  // not _exit: the report at exit is part of what must work
}

}  // namespace

int main() {
    scene::Growth growth;
    for (long round = 0; round < 20; ++round) {
        // Beside the fork for certain, and over after it, so that a hung child shows: nothing is awake then.
        std::atomic<long> walks = 0;
        std::atomic<bool> forked = false;
        std::thread freeing([&] {
            for (; !forked; ++walks) {
                void* block = scene::seen(std::malloc(1000));
                // Most of the thread's time lies inside, and so does the fork.
                scene::inside_walk([&] {
                    std::free(block);
                    for (int i = 0; i < 50; ++i) std::free(scene::seen(std::malloc(1000)));
                });
            }
        });
        while (walks < 100) std::this_thread::yield();
        const pid_t child = fork();
        if (child == 0) live_as_child();
        forked = true;
        int status = 0;
        waitpid(child, &status, 0);
        freeing.join();
        scene::expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child works");
        scene::progress("children", round + 1);
    }
}
