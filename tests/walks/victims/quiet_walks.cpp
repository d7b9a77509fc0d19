// SPDX-License-Identifier: Apache-2.0
// Once it has started, a process that walks and allocates again and again has nothing to ask the kernel for: the
// filter ends it at every system call but those that report and end.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>

#include "tests/preload/victims/scene.h"

namespace {

// Several times what a thread counts by itself before it adds that to the statistics.
constexpr int turns = 10'000;

void allow_to_report_and_end() {
    sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog filter{sizeof rules / sizeof *rules, rules};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    scene::expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0, "the filter can be set");
}

void allocate_and_free() {
    std::free(scene::seen(std::malloc(100)));
}

[[gnu::noinline]] void walk_with(void* data) {
    dl_iterate_phdr([](dl_phdr_info*, std::size_t, void*) { return 0; }, data);
    asm volatile("");  // or the call becomes a jump, and the place is our caller's
}

// What a walk hands to its callback is looked at where it may be an unwinder's.
struct Turn {
    const char* name;
    void (*take)();
};
constexpr Turn kinds[] = {
    {"walks that hand over nothing", [] { walk_with(nullptr); }},
    {"walks that hand over a number", [] { walk_with(reinterpret_cast<void*>(8)); }},
    {"walks that hand over a local variable",
     [] {
         const void* local = nullptr;
         walk_with(&local);
     }},
    {"walks that allocate", [] { scene::inside_walk(allocate_and_free); }},
    {"walks from several places",
     [] {
         walk_with(nullptr);
         scene::inside_walk([] {});
         scene::inside_walk(allocate_and_free);
         scene::inside_walk([] { asm volatile(""); });
     }},
    {"walks between allocations",
     [] {
         walk_with(nullptr);
         allocate_and_free();
     }},
};

void take_each(int times) {
    for (const Turn& kind : kinds) {
        for (int turn = 0; turn < times; ++turn) kind.take();
        // dprintf asks the kernel for more than to write.
        char line[80];
        const int length = std::snprintf(line, sizeof line, "%s: %d\n", kind.name, times);
        scene::expect(write(STDOUT_FILENO, line, static_cast<std::size_t>(length)) == length, "a line is written");
    }
}

}  // namespace

int main() {
    take_each(1);  // what is asked once, may be asked now
    allow_to_report_and_end();
    take_each(turns);
    _exit(0);  // what an allocator does at exit is its own affair
}
