// SPDX-License-Identifier: Apache-2.0
// Does this malloc ask for a loader lock? On SIGUSR1 a constructor run by dlopen (load lock) stands in a walk (write
// lock) until another thread has grown the heap from many places: it hangs if and only if a stack trace in malloc wants
// one of them.
#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "examples/phdr_deadlock/growth.h"

namespace {

std::atomic<bool> held = false, grown = false;

void set(std::atomic<bool>& flag) {
    flag = true;
    flag.notify_all();
}

// Allocates nothing while it waits: whoever owns the locks must not want the allocator's.
int stand_in_walk(dl_phdr_info*, std::size_t, void*) {
    set(held);
    grown.wait(false);
    return 1;
}

}  // namespace

// Called by the constructor of the library.
extern "C" [[gnu::visibility("default")]] void hold_loader_locks() {
    dl_iterate_phdr(stand_in_walk, nullptr);
}

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    sigset_t go;
    sigemptyset(&go);
    sigaddset(&go, SIGUSR1);
    sigprocmask(SIG_BLOCK, &go, nullptr);
    if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
    int signal = 0;
    sigwait(&go, &signal);

    std::thread growing([] {
        growth::Heap heap(growth::sites);
        held.wait(false);
        for (std::size_t i = 0; i < growth::sites; ++i) heap.grow();
        set(grown);
    });
    if (dlopen(argv[1], RTLD_NOW) == nullptr) {
        std::fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    growing.join();
}
