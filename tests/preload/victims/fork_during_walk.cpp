// SPDX-License-Identifier: Apache-2.0
// A child forked while another thread is inside a walk: glibc renews the load lock in the child, not the write lock, so
// the first stack trace of the child's allocator waits for an owner that does not exist there.
#include <sys/wait.h>

#include "tests/preload/victims/scene.h"

int main() {
    for (long round = 0; round < 10; ++round) {
        scene::Semaphore walk_has_begun, child_has_ended;
        std::thread walking([&] {
            scene::inside_walk([&] {
                walk_has_begun.release();
                child_has_ended.acquire();
            });
        });
        walk_has_begun.acquire();
        const pid_t child = fork();
        if (child == 0) {
            growth::Heap heap(growth::sites);
            for (std::size_t block = 0; block < growth::sites; ++block) heap.grow();
            scene::inside_walk([] { std::free(scene::seen(std::malloc(scene::large))); });
            std::exit(0);  // the ordinary way, so that it leaves its report where one was asked for
        }
        int status = 0;
        waitpid(child, &status, 0);
        child_has_ended.release();
        walking.join();
        scene::expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child works");
        scene::progress("child", child);
    }
}
