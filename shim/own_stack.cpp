// SPDX-License-Identifier: Apache-2.0
#include "shim/own_stack.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <string.h>

#include "shim/inner_code.h"
#include "shim/platform.h"

namespace unknot {

namespace {

// Functions that unwind in order to leave frames, as opposed to looking at them.
constexpr const char* throwing_names[] = {"_Unwind_RaiseException", "_Unwind_Resume", "_Unwind_Resume_or_Rethrow",
                                          "_Unwind_ForcedUnwind"};
struct Function {
    std::uintptr_t start;
    std::size_t bytes;
};
constinit Function throwing[sizeof throwing_names / sizeof *throwing_names]{};

bool is_throwing(std::uintptr_t address) {
    for (const Function& function : throwing) {
        if (address - function.start < function.bytes) return true;
    }
    return false;
}

// Copies what lies at `from`, as far as it is mapped; the number of bytes that could be read.
std::size_t read_stack(void* to, std::uintptr_t from, std::size_t bytes) {
    iovec local{to, bytes};
    iovec remote{reinterpret_cast<void*>(from), bytes};
    const long got = raw::call(SYS_process_vm_readv, raw::pid(), raw::address(&local), 1, raw::address(&remote), 1, 0);
    if (!raw::failed(got)) return static_cast<std::size_t>(got);
    if (got == -14 /* EFAULT: nothing mapped here */) return 0;
    // Forbidden (a seccomp filter). The page around a live frame is mapped; so is a thread's stack up to its
    // descriptor, which glibc places at its upper end.
    const std::uintptr_t page_end = (from | 4095) + 1;
    const auto descriptor = static_cast<std::uintptr_t>(pthread_self());
    const bool own_stack = descriptor > from && descriptor - from < (std::size_t{64} << 20);
    const std::size_t known = (own_stack ? descriptor : page_end) - from;
    bytes = bytes < known ? bytes : known;
    memcpy(to, reinterpret_cast<const void*>(from), bytes);
    return bytes;
}

// The interrupted stack is not above an alternate stack, and what it was doing is unknown.
bool on_alternate_stack() {
    stack_t alternate{};
    return !raw::failed(raw::call(SYS_sigaltstack, 0, raw::address(&alternate))) &&
           (alternate.ss_flags & SS_ONSTACK) != 0;
}

}  // namespace

StackFindings look_at_own_stack(const void* frame) {
    StackFindings found{.inside_allocator = on_alternate_stack(), .throwing = false};
    std::uintptr_t words[128]{};  // small: this may be a small stack
    auto at = reinterpret_cast<std::uintptr_t>(frame) & ~(sizeof(std::uintptr_t) - 1);
    for (std::size_t scanned = 0; scanned < scan_limit;) {
        const std::size_t got = read_stack(words, at, sizeof words) / sizeof *words;
        if (got == 0) break;
        for (std::size_t i = 0; i < got; ++i) {
            const void* word = strip_signature(reinterpret_cast<const void*>(words[i]));
            if (is_throwing(reinterpret_cast<std::uintptr_t>(word))) {
                found.throwing = true;
                return found;
            }
            if (inner_code_at(word) == InnerCode::allocator) found.inside_allocator = true;
        }
        at += got * sizeof *words;
        scanned += got * sizeof *words;
    }
    return found;
}

void find_throwing_functions() {
    for (std::size_t i = 0; i < sizeof throwing_names / sizeof *throwing_names; ++i) {
        void* found = dlsym(RTLD_NEXT, throwing_names[i]);
        Dl_info info;
        void* entry = nullptr;
        if (found == nullptr || dladdr1(found, &info, &entry, RTLD_DL_SYMENT) == 0 || entry == nullptr) continue;
        throwing[i] = {.start = reinterpret_cast<std::uintptr_t>(found),
                       .bytes = static_cast<const ElfW(Sym)*>(entry)->st_size};
    }
}

}  // namespace unknot
