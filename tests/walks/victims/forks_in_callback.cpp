// SPDX-License-Identifier: Apache-2.0
// A fork inside a callback: the child goes on inside its parent's walk, owns the lock under another thread id, and
// gives it back at the end.
#include <sys/wait.h>

#include "tests/walks/victims/stage.h"

int main() {
    scene::Growth growth;
    for (long round = 1; round <= 100; ++round) {
        pid_t child = -1;
        char* block = nullptr;
        scene::inside_walk([&] {
            child = fork();
            block = static_cast<char*>(scene::seen(std::malloc(scene::large)));
            block[scene::large - 1] = 'x';
        });
        std::free(block);
        if (child == 0) {
            // Others can have the lock, and so can this thread.
            std::thread([] { scene::inside_walk([] {}); }).join();
            scene::inside_walk([] { std::free(scene::seen(std::malloc(scene::large))); });
            dlclose(stage::load("libwalks_plugin.so"));
            std::exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        scene::expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child works");
        if (round % 10 == 0) scene::progress("children", round);
    }
}
