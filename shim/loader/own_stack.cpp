// SPDX-License-Identifier: Apache-2.0
#include "shim/loader/own_stack.h"

#include <signal.h>
#include <sys/auxv.h>

#include "shim/loader/inner_code.h"
#include "shim/loader/stack_words.h"
#include "shim/system/libc.h"
#include "shim/system/mapped_memory.h"
#include "shim/system/platform.h"

namespace unknot {

using namespace stack_words;

namespace {

// May what stands on the stack be the return address of a signal handler? Looks at no code but libc's or the kernel's.
bool returns_from_signal(const void* address, InnerCode code) {
    constexpr std::size_t bytes = 16;
    if (signals_return_through_libc) {
        return code == InnerCode::libc && inner_code_at(static_cast<const char*>(address) + bytes) == InnerCode::libc &&
               is_signal_return(address);
    }
    const Address kernels = getauxval(AT_SYSINFO_EHDR);
    const auto at = reinterpret_cast<Address>(address);
    return kernels != 0 && at % 4 == 0 && at - kernels < least_page - bytes && is_signal_return(address);
}

// Finds the end of an alternate signal stack in what the kernel leaves at its top, the handler's ucontext: a uc_link of
// zero, and uc_stack, which says where that stack is (Linux, __save_altstack, called by every machine's signal code).
class SignalStack {
  public:
    // Takes the words one by one. True: the last four say that they stand on an alternate stack.
    bool shows_in(Address at, Address value) {
        const Address start = start_, flags = flags_, link = link_;
        link_ = start_, start_ = flags_, flags_ = value;
        constexpr Address most = Address{1} << 32;
        // The int of the flags is followed by four bytes of anything.
        const auto known = static_cast<std::uint32_t>(flags) & ~(std::uint32_t{1} << 31);  // SS_AUTODISARM
        if (link != 0 || start == 0 || known > SS_ONSTACK || value > most) return false;
        if (at < start || at - start >= value) return false;
        end_ = start + value;
        return true;
    }
    Address end() const { return end_; }

  private:
    Address link_ = 1;
    Address start_ = 0;
    Address flags_ = 0;
    Address end_ = 0;
};

}  // namespace

StackFindings look_at_own_stack(const void* frame, const void* unwinder, std::size_t limit) {
    StackFindings found{};
    SignalStack signal_stack;
    const bool sure = each_word(frame, limit, [&](Address at, Address value, Address& end) {
        const void* address = strip_signature(reinterpret_cast<const void*>(value));
        const InnerCode code = inner_code_at(address);
        found.interrupted = found.interrupted || returns_from_signal(address, code);
        // What a handler has interrupted may be a throw; this walk is not that throw's.
        if (code == InnerCode::throwing && !found.interrupted && in_one_unwinder(unwinder, address)) {
            found.throwing = true;
        }
        if (code == InnerCode::allocator) found.inside_allocator = true;
        if (signal_stack.shows_in(at, value)) {
            // The interrupted stack is not further up, and what it was doing is unknown: a doubt.
            found.inside_allocator = true;
            if (signal_stack.end() < end) end = signal_stack.end();
        }
        return true;
    });
    if (!sure) found.inside_allocator = true;  // a doubt
    return found;
}

bool is_further_up(const void* upper, const void* frame) {
    constexpr std::size_t most = std::size_t{1} << 20;
    const auto from = reinterpret_cast<Address>(frame);
    const auto to = reinterpret_cast<Address>(upper);
    if (to < from || to - from > most) return false;
    for (Address page = next_page(from); page <= to; page += least_page) {
        if (!is_readable(reinterpret_cast<const void*>(page), false)) return false;
    }
    return true;
}

}  // namespace unknot
