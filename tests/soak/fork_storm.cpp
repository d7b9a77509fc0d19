// SPDX-License-Identifier: Apache-2.0
// Two threads fork at the same time, beside one that walks and diverts and one that allocates from the page heap. Every
// child walks, diverts, defers, and grows its own heap, which unwinds; then it ends, and has to have ended well.
//   fork_storm SECONDS
#include <sys/wait.h>

#include <cerrno>

#include "tests/preload/victims/scene.h"
#include "tests/soak/storm.h"

namespace {

[[noreturn]] void live_as_child() {
    scene::exchange_blocks_in_walks(20);
    growth::Heap heap(16);
    for (int block = 0; block < 16; ++block) heap.grow();
    std::_Exit(0);  // the report at exit is the parent's
}

void fork_a_child() {
    const pid_t child = fork();
    scene::expect(child >= 0, "fork works");
    if (child == 0) live_as_child();
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    scene::expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child works");
}

void walk() {
    void* outside = scene::seen(std::malloc(1000));
    void* inside = nullptr;
    scene::inside_walk([&] {
        std::free(outside);
        inside = scene::seen(std::malloc(scene::large));
    });
    std::free(inside);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    soak::Storm storm(argv[1]);
    storm.thread("children", fork_a_child);
    storm.thread("children_too", fork_a_child);
    storm.thread("walks", walk);
    storm.thread("blocks",
                 [turn = std::size_t{0}]() mutable { std::free(growth::allocate_from[turn++ % growth::sites]()); });
    storm.run();
}
