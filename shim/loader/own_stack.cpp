// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/own_stack.h"

#include <errno.h>
#include <string.h>

#include "shim/loader/inner_code.h"
#include "shim/system/platform.h"

namespace unknot {

namespace {

// The smallest page of the supported machines; a piece that crosses no multiple of it crosses no page.
constexpr std::uintptr_t least_page = 4096;

long ask_kernel_to_copy(void* to, const void* from, std::size_t bytes) {
    iovec local{to, bytes};
    iovec remote{const_cast<void*>(from), bytes};
    return raw::call(SYS_process_vm_readv, raw::pid(), raw::address(&local), 1, raw::address(&remote), 1, 0);
}

// Can the word at `from` be read? rt_sigprocmask copies the new mask before it looks at the (here impossible) command:
// EINVAL says that it could. Any other answer is a filter's, or EFAULT.
bool is_readable(const void* from) {
    constexpr long no_such_command = -1;
    const long answer = raw::call(SYS_rt_sigprocmask, no_such_command, raw::address(from), 0, sizeof(std::uint64_t));
    return answer == -EINVAL;
}

// `bytes` end on the page of `from`, which is this thread's stack or what lies behind it: nobody unmaps the one, and
// the other is only looked at where a filter forbids the question that needs no second look.
bool read_stack(void* to, const void* from, std::size_t bytes) {
    const long got = ask_kernel_to_copy(to, from, bytes);
    if (!raw::failed(got)) return static_cast<std::size_t>(got) == bytes;
    if (got == -EFAULT || !is_readable(from)) return false;
    memcpy(to, from, bytes);
    return true;
}

// The interrupted stack is not above an alternate stack, and what it was doing is unknown.
bool on_alternate_stack() {
    stack_t alternate{};
    return !raw::failed(raw::call(SYS_sigaltstack, 0, raw::address(&alternate))) &&
           (alternate.ss_flags & SS_ONSTACK) != 0;
}

}  // namespace

StackFindings look_at_own_stack(const void* frame, std::size_t limit) {
    constexpr std::size_t word = sizeof(std::uintptr_t);
    StackFindings found{.inside_allocator = on_alternate_stack(), .throwing = false};
    std::uintptr_t words[128];  // small: this may be a small stack
    const std::uintptr_t start = reinterpret_cast<std::uintptr_t>(frame) & ~(word - 1);
    std::uintptr_t at = start;
    while (at - start < limit) {
        const std::size_t on_page = least_page - at % least_page;
        const std::size_t bytes = on_page < sizeof words ? on_page : sizeof words;
        if (!read_stack(words, reinterpret_cast<const void*>(at), bytes)) break;
        for (std::size_t i = 0; i < bytes / word; ++i) {
            // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): the kernel has filled it
            const InnerCode code = inner_code_at(strip_signature(reinterpret_cast<const void*>(words[i])));
            if (code == InnerCode::throwing) {
                found.throwing = true;
                return found;
            }
            if (code == InnerCode::allocator) found.inside_allocator = true;
        }
        at += bytes;
    }
    // Not a word could be read: a doubt.
    if (at == start) found.inside_allocator = true;
    return found;
}

bool copy_if_mapped(void* to, const void* from, std::size_t bytes) {
    return ask_kernel_to_copy(to, from, bytes) == static_cast<long>(bytes);
}

}  // namespace unknot
