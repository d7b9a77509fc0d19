// SPDX-License-Identifier: Apache-2.0
// What a walk's callback pays for memory, beside what the same thread pays outside: malloc + touch + free by size, and
// a string that grows from 64 bytes to 64 kB by doubling. Every page of a block is touched. In turns within one
// process, so that the ratio is free of all that differs from process to process.
//   inside TURNS MICROSECONDS
// Prints, in ns of CPU time, the least of so many turns of about so long, each in one walk:
//   outside_SIZE=... inside_SIZE=... mmap_SIZE=... and the same for `string`
// mmap: the same pages fresh from the kernel and back, which is as cheap as a block without reuse can be.
#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/bench/clocks.h"

namespace {

using namespace unknot::bench;

constexpr std::size_t sizes[] = {64,    1000,    4000,    15000,     20000,     30000,
                                 60000, 200'000, 500'000, 2'000'000, 8'000'000, 16'000'000};
constexpr std::size_t page = 4096;
constexpr std::size_t from_the_kernel = 20000;  // below that nobody asks it for each block

void* volatile kept;

void touch(void* block, std::size_t size) {
    for (std::size_t at = 0; at < size; at += page) static_cast<volatile char*>(block)[at] = 1;
    kept = block;
}

void pair(std::size_t size) {
    void* block = std::malloc(size);
    if (block == nullptr) std::abort();
    touch(block, size);
    std::free(block);
}

void fresh(std::size_t size) {
    void* block = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) std::abort();
    touch(block, size);
    munmap(block, size);
}

void growing_string(std::size_t) {
    constexpr std::size_t first = 64;
    constexpr std::size_t last = 65536;
    void* text = std::malloc(first);
    for (std::size_t size = 2 * first; size <= last && text != nullptr; size *= 2) {
        text = std::realloc(text, size);
        static_cast<volatile char*>(text)[size - 1] = 1;
    }
    kept = text;
    std::free(text);
}

struct Work {
    void (*once)(std::size_t);
    std::size_t size;
    std::int64_t count = 1;
    std::int64_t ns = 0;

    void run() {
        once(size);  // what the first one faults in is not the others'
        const std::int64_t start = thread_cpu_ns();
        for (std::int64_t i = 0; i < count; ++i) once(size);
        ns = thread_cpu_ns() - start;
    }
    void run_in_a_walk() {
        dl_iterate_phdr(
            [](dl_phdr_info*, std::size_t, void* work) {
                static_cast<Work*>(work)->run();
                return 1;
            },
            this);
    }
    double each() const { return static_cast<double>(ns) / static_cast<double>(count); }
};

void compare(const char* name, Work work, int turns, std::int64_t turn_ns) {
    do {
        work.count *= 2;
        work.run();
    } while (work.ns < turn_ns);
    double outside = 1e18;
    double inside = 1e18;
    for (int i = 0; i < turns; ++i) {
        work.run();
        outside = std::min(outside, work.each());
        work.run_in_a_walk();
        inside = std::min(inside, work.each());
    }
    std::printf("outside_%s=%.2f inside_%s=%.2f\n", name, outside, name, inside);
}

}  // namespace

int main(int argc, char** argv) {
    const int turns = argc > 1 ? std::atoi(argv[1]) : 5;
    const std::int64_t turn_ns = (argc > 2 ? std::atoll(argv[2]) : 2000) * 1000;
    for (const std::size_t size : sizes) {
        const std::string name = std::to_string(size);
        compare(name.c_str(), {.once = pair, .size = size}, turns, turn_ns);
        if (size < from_the_kernel) continue;
        Work kernel{.once = fresh, .size = size, .count = static_cast<std::int64_t>(1 + 20'000'000 / size)};
        double least = 1e18;
        for (int i = 0; i < turns; ++i) {
            kernel.run();
            least = std::min(least, kernel.each());
        }
        std::printf("mmap_%zu=%.2f\n", size, least);
    }
    compare("string", {.once = growing_string, .size = 0}, turns, turn_ns);
}
