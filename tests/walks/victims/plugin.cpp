// SPDX-License-Identifier: Apache-2.0
// A library that throws, and that stands on the stack of whoever it calls.
#include <stdexcept>
#include <string>

extern "C" [[gnu::noinline]] void throw_number(int number) {
    throw std::runtime_error(std::to_string(number));
}

extern "C" void pass_on(void (*function)()) {
    function();
    asm volatile("");  // no tail call
}
