// SPDX-License-Identifier: Apache-2.0
// Preloaded beside a server: a thread that walks the loaded objects a hundred times a second, as profilers do, and
// allocates, grows and frees in the callback, also what it had allocated outside.
#include <link.h>
#include <pthread.h>
#include <time.h>

#include <cstdlib>
#include <cstring>

namespace {

struct Walk {
    void* outside;
    char* names;
    std::size_t used;
};

int note_name(dl_phdr_info* info, std::size_t, void* data) {
    auto& walk = *static_cast<Walk*>(data);
    std::free(walk.outside);
    walk.outside = std::malloc(300'000);
    const std::size_t length = std::strlen(info->dlpi_name) + 1;
    auto* larger = static_cast<char*>(std::realloc(walk.names, walk.used + length));
    if (larger == nullptr) return 1;
    walk.names = larger;
    std::memcpy(walk.names + walk.used, info->dlpi_name, length);
    walk.used += length;
    return 0;
}

void* walk_again_and_again(void*) {
    for (;;) {
        Walk walk{std::malloc(1000), nullptr, 0};
        dl_iterate_phdr(note_name, &walk);
        std::free(walk.names);
        std::free(walk.outside);
        const timespec pause{0, 10'000'000};
        nanosleep(&pause, nullptr);
    }
    return nullptr;
}

[[gnu::constructor]] void start() {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, walk_again_and_again, nullptr) == 0) pthread_detach(thread);
}

}  // namespace
