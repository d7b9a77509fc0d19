// SPDX-License-Identifier: Apache-2.0
// The allocator unwinds while somebody else holds the loader lock all the time, on every kind of stack: near the upper
// end of the main thread's, on a coroutine's of 16 KiB between two pages that must not be touched, on an alternate
// signal stack. With "forbid" the kernel does not say what is mapped, so the shim sees a page of each stack and takes
// the rest for a doubt.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "tests/walks/victims/stage.h"

namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t stack_bytes = 4 * page;

// The one call that the shim asks about memory with, and no other use of futex.
void forbid_to_ask() {
    constexpr unsigned operation = offsetof(seccomp_data, args) + sizeof(__u64);  // its lower half
    sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, operation),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog filter{sizeof rules / sizeof *rules, rules};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    scene::expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0, "the filter can be set");
}

// A stack with an untouchable page on either side.
class GuardedStack {
  public:
    GuardedStack()
        : all_(static_cast<char*>(
              mmap(nullptr, stack_bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
        mprotect(all_ + page, stack_bytes, PROT_READ | PROT_WRITE);
    }
    ~GuardedStack() { munmap(all_, stack_bytes + 2 * page); }
    GuardedStack(const GuardedStack&) = delete;
    GuardedStack& operator=(const GuardedStack&) = delete;
    char* start() const { return all_ + page; }

  private:
    char* all_;
};

void on_coroutine(const GuardedStack& stack) {
    ucontext_t here;
    ucontext_t there;
    getcontext(&there);
    there.uc_stack.ss_sp = stack.start();
    there.uc_stack.ss_size = stack_bytes;
    there.uc_link = &here;
    makecontext(&there, stage::grow_from_every_site, 0);
    swapcontext(&here, &there);
}

std::atomic<bool> handled = false;

void on_signal_stack(const GuardedStack& stack) {
    const stack_t alternate{.ss_sp = stack.start(), .ss_flags = 0, .ss_size = stack_bytes};
    const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    struct sigaction action {};
    action.sa_flags = SA_ONSTACK;
    // No allocator promises this inside a handler, but this thread has been interrupted where it was doing nothing.
    action.sa_handler = [](int) {
        stage::grow_from_every_site();
        handled = true;
    };
    sigaltstack(&alternate, nullptr);
    sigaction(SIGUSR1, &action, nullptr);
    raise(SIGUSR1);
    scene::expect(handled, "the signal is handled");
    sigaltstack(&none, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::strcmp(argv[1], "forbid") == 0) forbid_to_ask();
    std::free(scene::seen(std::malloc(1)));
    stage::Holder holder;
    stage::grow_from_every_site();
    scene::progress("main stack", 1);
    const GuardedStack stack;
    on_coroutine(stack);
    scene::progress("coroutine stack", 1);
    on_signal_stack(stack);
    scene::progress("signal stack", 1);
    // A thread's stack ends at its descriptor, and this one is as shallow as can be.
    std::thread(stage::grow_from_every_site).join();
    scene::progress("thread stack", 1);
}
