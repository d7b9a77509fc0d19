// SPDX-License-Identifier: Apache-2.0
#include "cli/mend/held_thread.h"

#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "cli/read/permission.h"
#include "cli/read/trouble.h"

namespace unknot::cli {
namespace {

constexpr auto patience = std::chrono::seconds(2);  // a thread in a disk's or a driver's hands stops late or never
constexpr useconds_t look_every_us = 20;

// waitpid would wait for ever for a thread that the kernel does not let go.
int wait_for_stop(pid_t tid) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < end) {
        int status = 0;
        const pid_t found = waitpid(tid, &status, __WALL | WNOHANG);
        if (found == tid && WIFSTOPPED(status)) return status;
        if (found != 0 && errno != EINTR) throw ProcessGone(fmt::format("thread {} ended meanwhile", tid));
        usleep(look_every_us);
    }
    throw Trouble(fmt::format("thread {} does not stand still; it was let go", tid));
}

}  // namespace

#if defined(__x86_64__)
struct HeldThread::Words : user_regs_struct {};
#else
struct HeldThread::Words {};
#endif

HeldThread::HeldThread(const Process& process, pid_t tid) : tid_(tid), since_(Clock::now()) {
    if (ptrace(PTRACE_SEIZE, tid, nullptr, nullptr) != 0) {
        if (errno == EPERM || errno == EACCES)
            throw NotPermitted(
                fmt::format("thread {} may not be held: another program traces it, or {}", tid, missing_permission()));
        throw ProcessGone(fmt::format("thread {} ended meanwhile", tid));
    }
    held_ = true;
    // From here on the id stays this thread's; whether it was still the one that was judged is asked now.
    if (!process.has_thread(tid) || ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr) != 0) {
        release();
        throw ProcessGone(fmt::format("thread {} ended meanwhile", tid));
    }
    const int status = wait_for_stop(tid);
    // Either our own interruption, or a signal that came first and is still to be delivered.
    if (status >> 16 != PTRACE_EVENT_STOP) signal_ = WSTOPSIG(status);
}

HeldThread::~HeldThread() {
    release();
}

double HeldThread::release() {
    if (!held_) return held_us_;
    held_ = false;
    // An argument of ptrace that is a number in a pointer's place.
    ptrace(PTRACE_DETACH, tid_, nullptr, reinterpret_cast<void*>(static_cast<std::uintptr_t>(signal_)));  // NOLINT
    held_us_ = std::chrono::duration<double, std::micro>(Clock::now() - since_).count();
    return held_us_;
}

#if defined(__x86_64__)

HeldThread::Words HeldThread::read_words() const {
    Words words{};
    if (ptrace(PTRACE_GETREGS, tid_, nullptr, static_cast<user_regs_struct*>(&words)) != 0)
        throw Trouble(fmt::format("the registers of thread {} cannot be read: {}", tid_, std::strerror(errno)));
    return words;
}

Wait HeldThread::wait() const {
    const Words words = read_words();
    return {static_cast<std::int64_t>(words.orig_rax), words.rdi, words.rsp, words.rip};
}

std::int64_t HeldThread::result() const {
    return static_cast<std::int64_t>(read_words().rax);
}

Registers HeldThread::registers() const {
    const Words words = read_words();
    Registers found;
    found.word = {words.rax, words.rdx, words.rcx, words.rbx, words.rsi, words.rdi, words.rbp, words.rsp, words.r8,
                  words.r9,  words.r10, words.r11, words.r12, words.r13, words.r14, words.r15, words.rip};
    return found;
}

void HeldThread::return_to(const Registers& caller, std::uint64_t value) {
    // What a function keeps for its caller (System V psABI for x86_64, 3.2.1); the others are free to change in a call.
    constexpr unsigned rbx = 3, rbp = 6, rsp = 7, r12 = 12, r13 = 13, r14 = 14, r15 = 15, rip = 16;
    for (const unsigned number : {rbx, rbp, rsp, r12, r13, r14, r15, rip})
        if (!caller.word[number])
            throw Trouble(fmt::format("the caller's registers of thread {} are not known; it was left alone", tid_));
    Words words = read_words();
    words.rbx = *caller.word[rbx];
    words.rbp = *caller.word[rbp];
    words.rsp = *caller.word[rsp];
    words.r12 = *caller.word[r12];
    words.r13 = *caller.word[r13];
    words.r14 = *caller.word[r14];
    words.r15 = *caller.word[r15];
    words.rip = *caller.word[rip];
    words.rax = value;
    // No system call to be begun anew: the kernel would move rip back (arch/x86/kernel/signal.c).
    words.orig_rax = static_cast<decltype(words.orig_rax)>(-1);
    if (ptrace(PTRACE_SETREGS, tid_, nullptr, static_cast<user_regs_struct*>(&words)) != 0)
        throw Trouble(
            fmt::format("the registers of thread {} cannot be set: {}; it was left alone", tid_, std::strerror(errno)));
}

#else  // policy/mending.h refuses such a machine before anybody is held for more than a wake-up

HeldThread::Words HeldThread::read_words() const {
    return {};
}
Wait HeldThread::wait() const {
    return {};
}
std::int64_t HeldThread::result() const {
    return 0;
}
Registers HeldThread::registers() const {
    return {};
}
void HeldThread::return_to(const Registers&, std::uint64_t) {
    throw Trouble(fmt::format("thread {} cannot be sent back on this machine; it was left alone", tid_));
}

#endif

}  // namespace unknot::cli
