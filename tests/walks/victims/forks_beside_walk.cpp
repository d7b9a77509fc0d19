// SPDX-License-Identifier: Apache-2.0
// Children forked while another thread sits in a walk, and a third grows the heap: every child walks, loads, throws and
// allocates. glibc renews the child's load lock but not its write lock (2.36).
#include <sys/wait.h>

#include <stdexcept>

#include "tests/walks/victims/stage.h"

namespace {

[[noreturn]] void live_as_child() {
    scene::inside_walk([] { std::free(scene::seen(std::malloc(scene::large))); });
    void* plugin = stage::load("libwalks_plugin.so");
    try {
        stage::find<void(int)>(plugin, "throw_number")(1);
        _exit(2);
    } catch (const std::runtime_error&) {
    }
    dlclose(plugin);
    std::free(scene::seen(std::malloc(growth::block_bytes)));
    std::thread([] { scene::inside_walk([] {}); }).join();
    _exit(0);
}

}  // namespace

int main() {
    scene::Growth growth;
    stage::Holder holder;
    for (long round = 1; round <= 1000; ++round) {
        const pid_t child = fork();
        if (child == 0) live_as_child();
        int status = 0;
        waitpid(child, &status, 0);
        scene::expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child works");
        if (round % 100 == 0) scene::progress("children", round);
    }
}
