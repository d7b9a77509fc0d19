// SPDX-License-Identifier: Apache-2.0
// The deadlock that it is all about: walks that allocate, beside a thread that grows the heap. Also in a process that
// may make few system calls.
//   meets everything_allowed|allow_list|without_ipc
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>

#include "tests/differential/stage.h"

namespace {

// What threads, an allocator and an unwinder need, and no more; anything else kills.
constexpr unsigned allowed[] = {
    SYS_futex,        SYS_mmap,      SYS_munmap,          SYS_mprotect,      SYS_madvise,        SYS_mremap,
    SYS_brk,          SYS_exit,      SYS_exit_group,      SYS_write,         SYS_rt_sigprocmask, SYS_rt_sigreturn,
    SYS_sched_yield,  SYS_nanosleep, SYS_clock_nanosleep, SYS_clone3,        SYS_clone,          SYS_set_robust_list,
    SYS_rseq,         SYS_mincore,   SYS_restart_syscall, SYS_clock_gettime, SYS_gettid,         SYS_getpid,
    SYS_rt_sigaction, SYS_msync,     SYS_close,           SYS_read};
// As in systemd's @ipc, of what somebody might think harmless.
constexpr unsigned inter_process[] = {SYS_process_vm_readv,
                                      SYS_process_vm_writev,
                                      SYS_pipe2,
                                      SYS_memfd_create,
                                      SYS_shmget,
                                      SYS_msgget,
                                      SYS_semget,
                                      SYS_pipe};

template <std::size_t Count>
void filter(const unsigned (&calls)[Count], unsigned when_listed, unsigned otherwise) {
    sock_filter program[Count + 3];
    program[0] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
    for (std::size_t i = 0; i < Count; ++i)
        program[i + 1] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], static_cast<unsigned char>(Count - i), 0);
    program[Count + 1] = BPF_STMT(BPF_RET | BPF_K, otherwise);
    program[Count + 2] = BPF_STMT(BPF_RET | BPF_K, when_listed);
    const sock_fprog whole{Count + 3, program};
    stage::expect(
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) == 0,
        "the filter is set");
}

}  // namespace

int main(int, char** argv) {
    stage::steps() = 0;
    const std::string_view how = argv[1];
    const bool allocates_in_walks = how != "without_ipc";
    // What allocator and unwinder ask for once, they ask for before the sandbox is closed.
    growth::Heap early(2);
    early.grow();
    std::thread([&early] { early.grow(); }).join();
    if (how == "allow_list") filter(allowed, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS);
    if (how == "without_ipc") filter(inter_process, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW);
    {
        const stage::Bystander walks([=] { allocates_in_walks ? stage::allocate_in_a_walk() : stage::work("walk"); });
        growth::Heap heap(1500);
        for (int i = 0; i < 1500; ++i) {
            heap.grow();
            ++stage::steps();
        }
    }
    constexpr char said[] = "met\n";  // by the one system call that is allowed for it
    _exit(write(STDOUT_FILENO, said, sizeof said - 1) > 0 ? 0 : 1);
}
