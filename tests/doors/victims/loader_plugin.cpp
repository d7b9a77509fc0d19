// SPDX-License-Identifier: Apache-2.0
// A plug-in with everything that makes ld.so work: a constructor and a destructor that allocate, dynamic TLS that is
// larger than what fits beside static TLS, and an IFUNC whose resolver allocates.
#include <cstdlib>
#include <cstring>

namespace {

constexpr std::size_t tls_bytes = 20'000;
thread_local char storage[tls_bytes];
void* kept = nullptr;

int plain_answer() {
    return 42;
}

using Answer = int();

}  // namespace

extern "C" {

[[gnu::constructor]] void plugin_starts() {
    kept = std::malloc(100);
    std::free(std::malloc(5000));
}

[[gnu::destructor]] void plugin_ends() {
    std::free(kept);
}

// Runs while ld.so relocates the plug-in.
Answer* resolve_answer() {
    void* scratch = std::malloc(1000);
    if (scratch == nullptr) return nullptr;
    std::memset(scratch, 1, 1000);
    std::free(scratch);
    return plain_answer;
}

int loader_plugin_answer() __attribute__((ifunc("resolve_answer")));

// 0 if this thread's storage was untouched before and holds what is written to it.
int loader_plugin_uses_tls(char pattern) {
    if (storage[0] != 0 || storage[tls_bytes - 1] != 0) return 1;
    std::memset(storage, pattern, tls_bytes);
    asm volatile("" : : "r"(storage) : "memory");
    return storage[tls_bytes / 2] == pattern ? 0 : 2;
}

int loader_plugin_calls_answer() {
    return loader_plugin_answer();
}

// A block of its own: whose malloc that is depends on how the plug-in was loaded.
int loader_plugin_allocates() {
    void* block = std::malloc(300'000);
    if (block == nullptr) return 1;
    std::memset(block, 1, 300'000);
    block = std::realloc(block, 400'000);
    std::free(block);
    return block == nullptr ? 1 : 0;
}
}
