// SPDX-License-Identifier: Apache-2.0
// A stack trace at every single instruction: the processor's trap flag stops the thread after each one, and nothing is
// left to luck or to a timer. What is stepped through must not block signals.
#pragma once

#include <ucontext.h>
#include <x86intrin.h>

#include "tests/walks/victims/samples.h"

namespace steps {

inline constexpr unsigned long long trap_flag = 0x100;

template <class Action>
void through(Action action, void (*at_each)(int, siginfo_t*, void*)) {
    struct sigaction handling {};
    handling.sa_flags = SA_SIGINFO;
    handling.sa_sigaction = at_each;
    sigaction(SIGTRAP, &handling, nullptr);
    samples::taken = 0;
    __writeeflags(__readeflags() | trap_flag);
    action();
    __writeeflags(__readeflags() & ~trap_flag);
    scene::progress("samples", samples::taken);
}

template <class Action>
void through(Action action) {
    through(action, [](int, siginfo_t*, void*) { samples::take(0); });
}

// A sample only where a system call has just returned: ld.so has unmapped a library, and nobody has walked since before
// it was loaded.
template <class Action>
void through_returns_of_system_calls(Action action) {
    through(action, [](int, siginfo_t*, void* context) {
        const auto at = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
        const auto* code = reinterpret_cast<const unsigned char*>(at);
        // The first stop may be an instruction later.
        for (int i = 2; i < 10; ++i) {
            if (code[-i] == 0x0f && code[1 - i] == 0x05) return samples::take(0);
        }
    });
}

}  // namespace steps
