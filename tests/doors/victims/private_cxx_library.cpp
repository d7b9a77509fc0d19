// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <new>

namespace {
volatile std::size_t too_much = std::size_t{PTRDIFF_MAX} - 4096;
int handler_calls = 0;
}  // namespace

// 0: every form failed in its own way, after asking the handler.
extern "C" int asks_too_much() {
    handler_calls = 0;
    std::set_new_handler([] {
        if (++handler_calls == 2) std::set_new_handler(nullptr);
    });
    try {
        ::operator delete(::operator new(too_much));
        return 1;
    } catch (const std::bad_alloc&) {
    }
    if (handler_calls != 2) return 2;
    handler_calls = 0;
    std::set_new_handler([] {
        ++handler_calls;
        throw std::bad_alloc();
    });
    void* const block = ::operator new(too_much, std::nothrow);
    std::set_new_handler(nullptr);
    if (block != nullptr) return 3;
    return handler_calls == 1 ? 0 : 4;
}
