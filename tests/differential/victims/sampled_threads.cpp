// SPDX-License-Identifier: Apache-2.0
// A profiler that samples every thread through libunwind: one thread's handler has libunwind's lock and wants the
// loader's, another's has interrupted the owner of the loader's and wants libunwind's.
//   sampled_threads WORK SAMPLES
#include <csignal>

#include "tests/differential/stage.h"

namespace {

constexpr int threads = 3;
int (*unwind)(void**, int);
std::atomic<long> samples;

void sample(int) {
    const int before = errno;
    void* frames[32];
    unwind(frames, 32);
    ++samples;
    errno = before;
}

}  // namespace

int main(int, char** argv) {
    stage::warm_up();
    void* library = dlopen("libunwind.so.8", RTLD_NOW);
    stage::expect(library != nullptr, "libunwind is there");
    unwind = reinterpret_cast<int (*)(void**, int)>(dlsym(library, "unw_backtrace"));
    stage::expect(unwind != nullptr, "libunwind has unw_backtrace");
    void* frames[4];
    unwind(frames, 4);
    struct sigaction action {};
    action.sa_handler = sample;
    action.sa_flags = SA_RESTART;
    sigaction(SIGPROF, &action, nullptr);
    const char* what = argv[1];
    std::atomic<bool> over = false;
    std::atomic<int> ready = 0;
    std::thread workers[threads];
    for (std::thread& worker : workers) {
        worker = std::thread([what, &over, &ready] {
            // Its thread-local words are allocated at the first call: not in a handler that has interrupted malloc.
            void* mine[4];
            unwind(mine, 4);
            ++ready;
            while (!over) stage::work(what);
        });
    }
    while (ready < threads) std::this_thread::yield();
    const long enough = std::atol(argv[2]);
    long last = 0;
    for (long sent = 0, in_vain = 0; samples < enough; ++sent) {
        pthread_kill(workers[sent % threads].native_handle(), SIGPROF);
        // Each has its time to be interrupted elsewhere; a signal that is pending still counts once.
        for (long i = sent * 7919 % 3000; i > 0; --i) asm volatile("" : : "r"(i));
        in_vain = samples == last ? in_vain + 1 : 0;
        last = samples;
        if (in_vain > 5000) usleep(20'000);  // nobody is awake where they hang
    }
    over = true;
    for (std::thread& worker : workers) worker.join();
    std::puts("sampled");
    return 0;
}
