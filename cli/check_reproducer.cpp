// SPDX-License-Identifier: Apache-2.0
#include "cli/check_reproducer.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace unknot::cli {
namespace {

constexpr std::size_t growth_bytes = std::size_t{2} << 20;  // nobody touches them: address space, not memory
constexpr std::size_t walk_bytes = 300'000;                 // above every size class of tcmalloc's
constexpr std::size_t growths_wanted = 4096;
constexpr std::size_t walks_wanted = 64;

void* seen(void* block) {
    asm volatile("" : "+r"(block));  // the compiler may remove a pair of calls that nobody looks at
    return block;
}

// libunwind asks the loader once for each return address and remembers 128 of them; so the heap grows from many places.
template <std::size_t Place>
[[gnu::noinline]] void* grow_at() {
    void* block = seen(std::malloc(growth_bytes));
    asm volatile("" : "+r"(block) : "i"(Place));
    return block;
}
template <std::size_t... Place>
constexpr std::array<void* (*)(), sizeof...(Place)> all(std::index_sequence<Place...>) {
    return {&grow_at<Place>...};
}
constexpr auto grow_from = all(std::make_index_sequence<256>{});

void linger() {
    constexpr timespec a_moment{.tv_sec = 0, .tv_nsec = 20'000};
    nanosleep(&a_moment, nullptr);
}

// Lingers, so that the other thread arrives at its first lock too, and then asks for the second.
int allocate_in_walk(dl_phdr_info*, std::size_t, void* kept) {
    linger();
    std::free(std::exchange(*static_cast<void**>(kept), nullptr));
    std::free(seen(std::malloc(walk_bytes)));
    return 1;
}

int two_locks(SharedProgress& progress) {
    std::atomic<bool> grown = false;
    std::thread walking([&] {
        for (std::size_t after = 0; after < walks_wanted; after += grown ? 1 : 0) {
            void* kept = seen(std::malloc(walk_bytes));  // of the real allocator: its free is put off
            dl_iterate_phdr(allocate_in_walk, &kept);
            ++progress.walks;
        }
    });
    std::thread growing([&] {
        std::vector<void*> blocks(growths_wanted);  // kept: a heap that gets blocks back stops growing
        for (std::size_t i = 0; i < growths_wanted; ++i) {
            blocks[i] = grow_from[i % grow_from.size()]();
            if (blocks[i] == nullptr) progress.out_of_memory = true;
            ++progress.growths;
        }
        for (void* block : blocks) std::free(block);
        grown = true;
    });
    growing.join();
    walking.join();
    return 0;
}

struct Stay {
    std::atomic<bool> inside = false, may_leave = false;
};

int stay_in_walk(dl_phdr_info*, std::size_t, void* data) {
    Stay& stay = *static_cast<Stay*>(data);
    stay.inside = true;
    while (!stay.may_leave) linger();
    return 1;
}

int fork_beside_walk(SharedProgress& progress) {
    Stay stay;
    std::thread walking([&] { dl_iterate_phdr(stay_in_walk, &stay); });
    while (!stay.inside) linger();
    const pid_t child = fork();
    if (child == 0) {
        dl_iterate_phdr([](dl_phdr_info*, std::size_t, void*) { return 1; }, nullptr);
        _exit(0);
    }
    stay.may_leave = true;
    walking.join();
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    ++progress.walks;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

int reproduce(char** arguments) {
    const int descriptor = std::atoi(arguments[1]);
    void* shared = mmap(nullptr, sizeof(SharedProgress), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (shared == MAP_FAILED) return 2;
    SharedProgress& progress = *static_cast<SharedProgress*>(shared);
    const bool is_fork = std::string_view(arguments[0]) == "fork";
    const int code = is_fork ? fork_beside_walk(progress) : two_locks(progress);
    if (const void* page = dlsym(RTLD_DEFAULT, "unknot_stats")) std::memcpy(&progress.page, page, sizeof progress.page);
    return code;
}

}  // namespace unknot::cli
