// SPDX-License-Identifier: Apache-2.0
// Preloaded beside real programs (scripts/compat): a thread that walks the loaded objects a hundred times a second and
// allocates in every callback, as profilers do that parse symbols there. Children of a fork get a thread of their own.
#include <link.h>
#include <pthread.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

constexpr timespec between_walks{.tv_sec = 0, .tv_nsec = 10'000'000};
constexpr std::size_t kept_most = 64;

// Blocks that outlive the walk that made them, as symbol tables do. The walking thread's alone.
void* kept[kept_most];
std::size_t next = 0;

int allocate(dl_phdr_info* info, std::size_t, void*) {
    auto* name = static_cast<char*>(std::malloc(std::strlen(info->dlpi_name) + 1));
    if (name != nullptr) std::strcpy(name, info->dlpi_name);
    auto* table = static_cast<char*>(std::calloc(300, 16));
    table = static_cast<char*>(std::realloc(table, 300'000));
    if (table != nullptr) std::memset(table, 1, 300'000);
    delete[] new char[40];
    std::free(table);
    std::free(kept[next]);
    kept[next] = name;
    next = (next + 1) % kept_most;
    return 0;
}

void* walk(void*) {
    while (true) {
        dl_iterate_phdr(allocate, nullptr);
        nanosleep(&between_walks, nullptr);
    }
    return nullptr;
}

void start_walking() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // the program's signals are for its own threads
    pthread_t thread;
    if (pthread_create(&thread, nullptr, walk, nullptr) == 0) pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

[[gnu::constructor]] void start() {
    start_walking();
    pthread_atfork(nullptr, nullptr, start_walking);
}

}  // namespace
