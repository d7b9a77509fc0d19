// SPDX-License-Identifier: Apache-2.0
// A process whose seccomp filter ends it at every system call that the bare program and a bare allocator do not need,
// once it has started: the heap grows with stack traces while somebody walks and libraries come and go.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <stdexcept>
#include <vector>

#include "tests/walks/victims/stage.h"

namespace {

constexpr unsigned needed[] = {
    // memory, locks
    SYS_mmap, SYS_munmap, SYS_mprotect, SYS_madvise, SYS_brk, SYS_mremap, SYS_futex,
    // threads
    SYS_clone,
#ifdef SYS_clone3
    SYS_clone3,
#endif
#ifdef SYS_rseq
    SYS_rseq,
#endif
    SYS_set_robust_list, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_exit, SYS_exit_group, SYS_getpid,
    // libraries, and what is written
    SYS_openat, SYS_read, SYS_pread64, SYS_fstat,
#ifdef SYS_newfstatat
    SYS_newfstatat,
#endif
    SYS_close, SYS_write, SYS_lseek,
    // libunwind asks whether a page can be read (1.6, Debian 12 and earlier versions: msync or mincore)
    SYS_msync, SYS_mincore};

void forbid_the_rest() {
    std::vector<sock_filter> rules{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (const unsigned number : needed) {
        rules.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
        rules.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    rules.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    sock_fprog filter{static_cast<unsigned short>(rules.size()), rules.data()};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    scene::expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0, "the filter can be set");
}

// In and out of walks without a system call, and in for long enough to be met there.
class BusyVisitor {
  public:
    ~BusyVisitor() {
        stop_ = true;
        thread_.join();
    }

  private:
    std::atomic<bool> stop_ = false;
    std::thread thread_{[this] {
        while (!stop_) {
            scene::inside_walk([] {
                for (int i = 0; i < 20'000; ++i) asm volatile("");
            });
        }
    }};
};

}  // namespace

int main() {
    // What the shim asks the system for once, it may ask now.
    scene::inside_walk([] { std::free(scene::seen(std::malloc(1))); });
    forbid_the_rest();
    BusyVisitor visitor;
    for (long round = 0; round < 20; ++round) {
        void* plugin = stage::load("libwalks_plugin.so");
        stage::find<void(void (*)())>(plugin, "pass_on")(stage::grow_from_every_site);
        bool caught = false;
        try {
            stage::find<void(int)>(plugin, "throw_number")(1);
        } catch (const std::runtime_error&) {
            caught = true;
        }
        scene::expect(caught, "the exception arrives");
        dlclose(plugin);
        scene::progress("rounds", round + 1);
    }
}
