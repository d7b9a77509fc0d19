// SPDX-License-Identifier: Apache-2.0
// small_stacks BYTES: a thread on a stack that small allocates and frees inside a walk, and grows the heap while
// another thread sits in a walk: an allocator that unwinds does so there, and walks the snapshot.
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "examples/phdr_deadlock/growth.h"
#include "policy/stats_page.h"

namespace {

sem_t inside;
sem_t grown;

void expect(bool holds, const char* claim) {
    if (holds) return;
    dprintf(2, "does not hold: %s\n", claim);
    _exit(1);
}

void* diverts(void*) {
    void* block = std::malloc(100);
    dl_iterate_phdr(
        [](dl_phdr_info*, std::size_t, void* data) {
            auto* old = static_cast<void**>(data);
            std::free(*old);
            *old = std::malloc(300'000);
            return 1;
        },
        &block);
    std::free(block);
    return nullptr;
}

growth::Heap* heap = nullptr;

void* grows(void*) {
    for (std::size_t i = 0; i < growth::sites; ++i) heap->grow();
    sem_post(&grown);
    return nullptr;
}

void* sits(void*) {
    dl_iterate_phdr(
        [](dl_phdr_info*, std::size_t, void*) {
            sem_post(&inside);
            sem_wait(&grown);
            return 1;
        },
        nullptr);
    return nullptr;
}

}  // namespace

int main(int, char** argv) {
    const auto bytes = static_cast<std::size_t>(std::atol(argv[1]));
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    expect(pthread_attr_setstacksize(&attributes, bytes) == 0, "libc allows such a stack");
    growth::Heap all(growth::sites);
    heap = &all;
    pthread_t thread;
    expect(pthread_create(&thread, &attributes, diverts, nullptr) == 0, "the first thread starts");
    pthread_join(thread, nullptr);
    sem_init(&inside, 0, 0);
    sem_init(&grown, 0, 0);
    pthread_t sitter;
    expect(pthread_create(&sitter, nullptr, sits, nullptr) == 0, "the walker starts");
    sem_wait(&inside);
    expect(pthread_create(&thread, &attributes, grows, nullptr) == 0, "the second thread starts");
    pthread_join(thread, nullptr);
    pthread_join(sitter, nullptr);
    const auto* page = static_cast<const unknot::StatsPage*>(dlsym(RTLD_DEFAULT, "unknot_stats"));
    if (page != nullptr) {
        dprintf(1, "diverted %lu deferred %lu snapshot %lu\n", page->diverted, page->deferred,
                page->walks_from_snapshot);
    }
}
