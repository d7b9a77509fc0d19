// SPDX-License-Identifier: Apache-2.0
// A profiler that suspends a thread by a signal, takes its stack trace from outside with libunwind, and lets it go on.
// The thread walks, so that it is likely to be suspended while it owns the loader lock.
#include "tests/incidents/victims/sampling.h"

namespace {

unw_context_t* context_of_suspended = nullptr;
scene::Semaphore suspended;
scene::Semaphore resumed;

void wait_here(int, siginfo_t*, void* context) {
    const int saved = errno;
    context_of_suspended = static_cast<unw_context_t*>(context);
    suspended.release();
    resumed.acquire();
    errno = saved;
}

int count_frames_of_suspended() {
    unw_cursor_t cursor;
    unw_init_local2(&cursor, context_of_suspended, UNW_INIT_SIGNAL_FRAME);
    return sampling::steps_from(cursor);
}

}  // namespace

int main() {
    sampling::ask_loader_at_every_step();
    struct sigaction action {};
    action.sa_sigaction = wait_here;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(SIGUSR2, &action, nullptr);

    std::atomic<bool> stop = false;
    std::atomic<bool> walks = false;
    std::thread walking([&] {
        while (!stop) {
            scene::inside_walk([&] {
                walks = true;
                for (int i = 0; i < 1000; ++i) asm volatile("" : : "r"(i));
            });
        }
    });
    while (!walks) std::this_thread::yield();
    for (long round = 1; round <= 600; ++round) {
        pthread_kill(walking.native_handle(), SIGUSR2);
        suspended.acquire();
        const int frames = count_frames_of_suspended();
        resumed.release();
        scene::expect(frames > 2, "the stack of the other thread is seen");
        if (round % 200 == 0) scene::progress("suspended", round);
    }
    stop = true;
    walking.join();
}
