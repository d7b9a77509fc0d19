// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <new>

namespace {
volatile std::size_t too_much = std::size_t{PTRDIFF_MAX} - 4096;
int handler_calls = 0;
constexpr std::align_val_t wide{64};

bool is_wide(void* block) {
    return block != nullptr && reinterpret_cast<std::uintptr_t>(block) % 64 == 0;
}
}  // namespace

// 0: every form of operator new gave a block, each form of operator delete took one.
extern "C" int uses_every_form() {
    const std::nothrow_t& quiet = std::nothrow;
    ::operator delete(::operator new(100));
    ::operator delete (::operator new(100), std::size_t{100});
    ::operator delete[](::operator new[](100));
    ::operator delete[](::operator new[](100), std::size_t{100});
    void* block = ::operator new(100, quiet);
    if (block == nullptr) return 11;
    ::operator delete(block, quiet);
    block = ::operator new[](100, quiet);
    if (block == nullptr) return 12;
    ::operator delete[](block, quiet);
    if (!is_wide(block = ::operator new(100, wide))) return 13;
    ::operator delete(block, wide);
    if (!is_wide(block = ::operator new(100, wide))) return 14;
    ::operator delete (block, std::size_t{100}, wide);
    if (!is_wide(block = ::operator new[](100, wide))) return 15;
    ::operator delete[](block, wide);
    if (!is_wide(block = ::operator new[](100, wide))) return 16;
    ::operator delete[](block, std::size_t{100}, wide);
    if (!is_wide(block = ::operator new(100, wide, quiet))) return 17;
    ::operator delete(block, wide, quiet);
    if (!is_wide(block = ::operator new[](100, wide, quiet))) return 18;
    ::operator delete[](block, wide, quiet);
    return 0;
}

// 0: every form works, and those that asked for too much failed in their own way, after asking the handler.
extern "C" int asks_too_much() {
    if (const int broken = uses_every_form()) return broken;
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
