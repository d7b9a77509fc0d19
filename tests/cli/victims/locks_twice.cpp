// SPDX-License-Identifier: Apache-2.0
// A signal handler that takes the lock which the thread it has interrupted holds.
#include <signal.h>
#include <unistd.h>

#include <mutex>

std::mutex sample_lock;

int main() {
    signal(SIGUSR1, [](int) { std::lock_guard held(sample_lock); });
    std::lock_guard held(sample_lock);
    if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
    raise(SIGUSR1);
}
