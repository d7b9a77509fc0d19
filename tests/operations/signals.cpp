// SPDX-License-Identifier: Apache-2.0
#include "tests/operations/signals.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "tests/operations/failure.h"

namespace operations {

namespace {

thread_local volatile sig_atomic_t may_allocate_in_handler = 0;
std::atomic<std::uint64_t> handled = 0;
int (*unwind)(void**, int) = nullptr;  // nullptr: takes no samples
// A thread's first trace allocates (libunwind's thread-local cache, through ld.so): inside malloc it would come back
// into the allocator, bare too. So each thread takes it in peace.
thread_local volatile sig_atomic_t may_unwind_in_handler = 0;

void take_first_trace() {
    void* frames[4];
    unwind(frames, 4);
    may_unwind_in_handler = 1;
}

void handle(int) {
    const int before = errno;
    if (may_allocate_in_handler != 0) {
        auto* block = static_cast<char*>(std::malloc(200));
        if (block == nullptr) fail("malloc in a signal handler inside a walk failed");
        std::memset(block, 0x77, 200);
        block = static_cast<char*>(std::realloc(block, 900));
        if (block == nullptr || block[199] != 0x77) fail("realloc in a signal handler lost its contents");
        std::free(block);
    }
    if (may_unwind_in_handler != 0) {
        void* frames[32];
        unwind(frames, 32);
    }
    ++handled;
    errno = before;
}

}  // namespace

void start_signals(bool samples) {
    if (samples) {
        // libunwind walks for every frame that it does not remember; libgcc does not from glibc 2.35 on.
        if (void* library = dlopen("libunwind.so.8", RTLD_NOW))
            unwind = reinterpret_cast<int (*)(void**, int)>(dlsym(library, "unw_backtrace"));
        if (unwind == nullptr) unwind = backtrace;
        take_first_trace();
    }
    struct sigaction action {};
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, nullptr);
    const itimerval often{{0, 1000}, {0, 1000}};
    setitimer(ITIMER_REAL, &often, nullptr);
}

Sampled::Sampled() {
    if (unwind == nullptr) return;
    take_first_trace();
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGALRM;
    event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));  // glibc has no other name for it before 2.39
    const itimerspec often{{0, 200'000}, {0, 200'000}};
    is_running_ = timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
    if (!is_running_ || timer_settime(timer_, 0, &often, nullptr) != 0) fail("no timer for a thread");
}

Sampled::~Sampled() {
    if (is_running_) timer_delete(timer_);
}

std::uint64_t signals_handled() {
    return handled;
}

void let_handler_allocate() {
    may_allocate_in_handler = 1;
    for (int i = 0; i < 2000; ++i) asm volatile("" : : "r"(i));
    may_allocate_in_handler = 0;
}

}  // namespace operations
