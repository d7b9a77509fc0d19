// SPDX-License-Identifier: Apache-2.0
// A sampling profiler: a timer that signals one thread, whose handler takes a stack trace with libunwind.
#pragma once

#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "tests/preload/victims/scene.h"

namespace sampling {

// Without libunwind's cache every step of a trace asks the loader, as the first visit of a place does with it.
inline void ask_loader_at_every_step() {
    unw_set_caching_policy(unw_local_addr_space, UNW_CACHE_NONE);
}

// How many frames there are from `cursor` on.
inline int steps_from(unw_cursor_t& cursor) {
    int frames = 1;
    while (unw_step(&cursor) > 0) ++frames;
    return frames;
}

inline int count_own_frames() {
    unw_context_t context;
    unw_cursor_t cursor;
    unw_getcontext(&context);
    unw_init_local(&cursor, &context);
    return steps_from(cursor);
}

using Handler = void (*)(int);

// Signals the thread that made it, 50 us after it was made and 50 us after every again(), until it is destroyed. The
// kernel's timer, so that a hang is quiet; asked for anew by each handler, so that the thread gets on between them.
class Timer {
  public:
    explicit Timer(Handler handler) {
        struct sigaction action {};
        action.sa_handler = handler;
        action.sa_flags = SA_RESTART;
        sigaction(SIGUSR1, &action, nullptr);
        sigevent to_this_thread{};
        to_this_thread.sigev_notify = SIGEV_THREAD_ID;
        to_this_thread.sigev_signo = SIGUSR1;
        to_this_thread._sigev_un._tid = gettid();
        scene::expect(timer_create(CLOCK_MONOTONIC, &to_this_thread, &timer_) == 0, "the timer can be made");
        again();
    }
    ~Timer() {
        signal(SIGUSR1, SIG_IGN);
        timer_delete(timer_);
    }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    static void again() {
        const itimerspec soon{.it_interval = {0, 0}, .it_value = {0, 50'000}};
        timer_settime(timer_, 0, &soon, nullptr);
    }

  private:
    static inline timer_t timer_{};
};

}  // namespace sampling
