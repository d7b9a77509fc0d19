// SPDX-License-Identifier: Apache-2.0
// A kernel that refuses: from install() on every mmap, mprotect and madvise of this process raises SIGSYS, and the
// handler decides call by call whether it is made or answered with ENOMEM. The code under test is the shipped one.
#pragma once

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace unknot::testing {

// Which calls to refuse; the first call after install() has the index 0.
struct Refusal {
    long number;  // of the system call; -1: each of the three
    std::uint64_t first;
    std::uint64_t last;
};

class RefusedCalls {
  public:
    static void install(const Refusal& refusal) {
        refusal_ = refusal;
        seen_ = 0;
        struct sigaction action {};
        action.sa_sigaction = decide;
        action.sa_flags = SA_SIGINFO | SA_NODEFER;
        sigaction(SIGSYS, &action, nullptr);
        constexpr auto number = static_cast<std::uint32_t>(offsetof(seccomp_data, nr));
        constexpr auto sixth = static_cast<std::uint32_t>(offsetof(seccomp_data, args) + 5 * sizeof(std::uint64_t));
        sock_filter filter[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, sixth),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, pass, 5, 0),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 2, 0),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 1, 0),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const sock_fprog program{sizeof filter / sizeof *filter, filter};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
            _exit(77);
        }
    }

    // How many of the calls in question were made since install().
    static std::uint64_t seen() { return seen_; }

  private:
    // A sixth argument that only the handler gives: a page-aligned offset, which an anonymous mapping ignores, as the
    // other two calls do.
    static constexpr std::uint32_t pass = 0x5afe0000;

    static void decide(int, siginfo_t* info, void* context) {
        greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
        const bool counts = refusal_.number == -1 || refusal_.number == info->si_syscall;
        const std::uint64_t index = counts ? seen_++ : 0;
        if (counts && index >= refusal_.first && index <= refusal_.last) {
            registers[REG_RAX] = -ENOMEM;
            return;
        }
        const int before = errno;
        const long result = syscall(info->si_syscall, registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                                    registers[REG_R10], registers[REG_R8], pass);
        registers[REG_RAX] = result == -1 ? -errno : result;
        errno = before;
    }

    static inline constinit Refusal refusal_{};
    static inline constinit std::uint64_t seen_ = 0;
};

}  // namespace unknot::testing
