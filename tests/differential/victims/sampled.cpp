// SPDX-License-Identifier: Apache-2.0
// A sampling profiler: a signal handler unwinds the thread that it has interrupted, at any instruction of what that
// thread does. Another thread sends the next signal as soon as the last one was handled.
//   sampled libgcc|libunwind|walk|headers|address|fork WORK SAMPLES     WORK as in stage.h, or fork, thread,
//   constructor
#include <csignal>

#include "tests/differential/stage.h"

namespace {

int (*unwind)(void**, int) = backtrace;
bool walks;
bool reads_headers;
bool looks_up;
bool forks;
std::atomic<long> samples;

void sample(int) {
    const int before = errno;
    void* frames[32];
    if (walks) {
        int objects = 0;
        dl_iterate_phdr(
            [](dl_phdr_info* info, std::size_t, void* data) {
                // Where dlclose has unmapped an object and not unlinked it yet, its name is there and its headers are
                // not.
                const bool first_is_null = reads_headers && info->dlpi_phdr[0].p_type == PT_NULL;
                return *static_cast<int*>(data) += info->dlpi_name[0] != '\0' && !first_is_null, 0;
            },
            &objects);
    } else if (forks) {
        const pid_t child = _Fork();  // the one that a handler may call
        if (child == 0) _exit(0);
        stage::expect_to_end_well(child);
    } else if (looks_up) {
        Dl_info info;
        dladdr(reinterpret_cast<void*>(&sample), &info);
    } else {
        unwind(frames, 32);
    }
    ++samples;
    errno = before;
}

void do_it(std::string_view what) {
    if (what == "fork") {
        const pid_t child = fork();
        if (child == 0) _exit(0);
        return stage::expect_to_end_well(child);
    }
    if (what == "thread") return std::thread([] { stage::work("walk"); }).join();
    if (what == "constructor") {
        void* library = dlopen("calls_back.so", RTLD_NOW);
        stage::expect(library != nullptr, "the library is loaded");
        return (void)dlclose(library);
    }
    stage::work(what);
}

}  // namespace

// libraries/calls_back.c
extern "C" void when_loaded() {
    stage::work("backtrace");
}
extern "C" void when_unloaded() {
    stage::work("throw");
}

int main(int, char** argv) {
    stage::warm_up();
    const std::string_view how = argv[1];
    reads_headers = how == "headers";
    walks = how == "walk" || reads_headers;
    looks_up = how == "address";
    forks = how == "fork";
    if (how == "libunwind") {
        void* library = dlopen("libunwind.so.8", RTLD_NOW);
        stage::expect(library != nullptr, "libunwind is there");
        unwind = reinterpret_cast<int (*)(void**, int)>(dlsym(library, "unw_backtrace"));
        stage::expect(unwind != nullptr, "libunwind has unw_backtrace");
    }
    void* frames[4];
    unwind(frames, 4);
    const long enough = std::atol(argv[3]);
    struct sigaction action {};
    action.sa_handler = sample;
    action.sa_flags = SA_RESTART;
    sigaction(SIGPROF, &action, nullptr);
    const pthread_t worker = pthread_self();
    std::atomic<bool> over = false;
    std::thread profiler([&] {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        for (long sent = 0; !over; ++sent) {
            pthread_kill(worker, SIGPROF);
            for (int asked = 0; samples <= sent && !over; ++asked) {
                if (asked > 100) usleep(asked < 300 ? 100 : 20'000);  // nobody is awake where the worker hangs
            }
            // Another distance each time.
            for (long i = sent * 7919 % 3000; i > 0; --i) asm volatile("" : : "r"(i));
        }
    });
    while (samples < enough) do_it(argv[2]);
    over = true;
    profiler.join();
    std::puts("sampled");
    return 0;
}
