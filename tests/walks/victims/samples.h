// SPDX-License-Identifier: Apache-2.0
// A sampling profiler, as a signal handler that takes a stack trace of whatever it has interrupted. The first argument
// of the program names the unwinder: libgcc, libunwind, or none where a preloaded profiler samples. The second is how
// many samples to take, the third the microseconds in between.
#pragma once

#include <execinfo.h>
#include <sys/time.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "tests/walks/victims/stage.h"

namespace samples {

using Backtrace = int(void**, int);

inline Backtrace* backtrace_of = nullptr;
inline std::atomic<long> taken = 0;

// Safe in every signal handler, as far as the unwinder is.
inline void take(int) {
    const int saved = errno;
    void* frames[32];
    taken += backtrace_of(frames, 32) > 0 ? 1 : 0;
    errno = saved;
}

inline void choose_unwinder(const char* name) {
    if (std::strcmp(name, "libgcc") == 0) backtrace_of = backtrace;
    if (std::strcmp(name, "libunwind") == 0)
        backtrace_of = stage::find<Backtrace>(stage::load("libunwind.so.8"), "unw_backtrace");
    if (backtrace_of != nullptr) take(0);  // libgcc is loaded by the first one
}

// From when it is made until it is destroyed.
class Sampler {
  public:
    Sampler(int argc, char** argv) {
        scene::expect(argc > 1, "there is an unwinder");
        choose_unwinder(argv[1]);
        if (argc > 2) wanted_ = std::atol(argv[2]);
        taken = 0;
        if (backtrace_of == nullptr) return;
        std::signal(SIGALRM, take);
        set(argc > 3 ? std::atol(argv[3]) : 1000);
    }
    ~Sampler() {
        set(0);
        scene::progress("samples", taken);
    }
    Sampler(const Sampler&) = delete;
    Sampler& operator=(const Sampler&) = delete;

    // Once a round.
    bool goes_on() {
        if (++rounds_ % 1000 == 0) scene::progress("rounds", rounds_);
        return (backtrace_of != nullptr ? taken.load() : rounds_) < wanted_;
    }

  private:
    // Of the clock on the wall: a timer of the processor's time comes no oftener than the kernel ticks.
    static void set(long us) {
        const itimerval timer{.it_interval = {.tv_sec = 0, .tv_usec = us}, .it_value = {.tv_sec = 0, .tv_usec = us}};
        setitimer(ITIMER_REAL, &timer, nullptr);
    }

    long wanted_ = 1000;
    long rounds_ = 0;
};

}  // namespace samples
