// SPDX-License-Identifier: Apache-2.0
// What the victims share. A bystander never runs far ahead of the scenario: where that stops, everybody sleeps, and the
// silence is what tells a hang.
#pragma once

#include <dlfcn.h>
#include <execinfo.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>

#include "tests/preload/victims/scene.h"

namespace stage {

using scene::expect;
using scene::inside_walk;
using scene::seen;

// Steps of the scenario, counted in memory that children of a fork share.
inline std::atomic<long>& steps() {
    static void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return *static_cast<std::atomic<long>*>(page);
}

class Bystander {
  public:
    template <class Work>
    explicit Bystander(Work work) : thread_([this, work] { keep_up(work); }) {
        while (rounds_ == 0) std::this_thread::yield();
    }
    ~Bystander() {
        over_ = true;
        thread_.join();
    }

  private:
    template <class Work>
    void keep_up(Work work) {
        using Clock = std::chrono::steady_clock;
        constexpr std::chrono::milliseconds most_ahead(20);
        Clock::time_point at = Clock::now();
        for (long last = -1; !over_; ++rounds_) {
            work();
            const long now = steps();
            if (now != last) {
                last = now;
                at = Clock::now();
            } else if (Clock::now() - at > most_ahead) {
                usleep(20'000);
            }
        }
    }

    std::atomic<bool> over_ = false;
    std::atomic<long> rounds_ = 0;
    std::thread thread_;
};

inline int count_objects() {
    int count = 0;
    dl_iterate_phdr([](dl_phdr_info*, std::size_t, void* data) { return ++*static_cast<int*>(data), 0; }, &count);
    return count;
}

inline void allocate_and_free(std::size_t size) {
    auto* block = static_cast<char*>(seen(std::malloc(size)));
    expect(block != nullptr, "there is memory");
    block[0] = block[size - 1] = 1;
    std::free(block);
}

inline void allocate_in_a_walk() {
    inside_walk([] { allocate_and_free(3000); });
}

inline void load_and_unload(const char* library = "libz.so.1") {
    if (void* handle = dlopen(library, RTLD_NOW | RTLD_LOCAL)) dlclose(handle);
}

inline void throw_and_catch() {
    try {
        throw 1;
    } catch (int) {
    }
}

// What somebody does, by its name on the command line.
inline void work(std::string_view what) {
    static std::string_view self = program_invocation_name;
    if (what == "walk") return (void)expect(count_objects() > 3, "the program's objects are seen");
    if (what == "walk_allocating") return allocate_in_a_walk();
    if (what == "allocate") return allocate_and_free(400), allocate_and_free(300'000);
    if (what == "load") return load_and_unload();
    if (what == "load_again") return load_and_unload("libc.so.6");  // which stays
    if (what == "load_failing") return load_and_unload("/no/such/library.so");
    if (what == "look_up") return (void)expect(dlsym(RTLD_DEFAULT, "printf") != nullptr, "printf is found");
    if (what == "address") {
        Dl_info info;
        return (void)expect(dladdr(reinterpret_cast<void*>(&std::malloc), &info) != 0, "an address is found");
    }
    if (what == "throw") return throw_and_catch();
    if (what == "backtrace") {
        void* frames[16];
        return (void)expect(backtrace(frames, 16) > 0, "there is a stack");
    }
    if (what == "nothing") return;
    dprintf(STDERR_FILENO, "%s: nothing is called %s\n", self.data(), what.data());
    _exit(2);
}

// libgcc is loaded and its tables are looked up before anything begins, as in any program that has been running.
inline void warm_up() {
    steps() = 0;
    for (const char* once : {"throw", "backtrace", "load", "look_up"}) work(once);
}

inline void expect_to_end_well(pid_t child) {
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (status != 0) dprintf(STDERR_FILENO, "a child ended with wait status 0x%x\n", static_cast<unsigned>(status));
    expect(status == 0, "the child ends well");
}

}  // namespace stage
