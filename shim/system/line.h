// SPDX-License-Identifier: Apache-2.0
// One line of the log, built on the stack and cut where it is too long: "unknot[PID]: ...", with its newline. What
// comes from outside cannot make two of it.
#pragma once

#include "shim/system/platform.h"

namespace [[gnu::visibility("hidden")]] unknot {

class Line {
  public:
    // cppcheck-suppress uninitMemberVar  // 2 KiB of which nothing is read before it is written
    Line() { *this << "unknot[" << std::uint64_t{raw::pid()} << "]: "; }

    Line& operator<<(const char* text) {
        while (*text != '\0') put(*text++);
        return *this;
    }

    // The beginning says enough.
    Line& shortened(const char* text) {
        constexpr int most = 100;
        int n = 0;
        for (; n < most && text[n] != '\0'; ++n) put(text[n]);
        return text[n] != '\0' ? *this << "..." : *this;
    }

    Line& operator<<(std::uint64_t number) {
        char digits[20];
        std::size_t n = 0;
        do digits[n++] = static_cast<char>('0' + number % 10);
        while ((number /= 10) != 0);
        while (n != 0) put(digits[--n]);
        return *this;
    }

    Line& hex(std::uint64_t number) {
        *this << "0x";
        bool leading = true;
        for (int shift = 60; shift >= 0; shift -= 4) {
            const auto digit = static_cast<unsigned>(number >> shift) & 15u;
            leading = leading && digit == 0 && shift != 0;
            if (!leading) put("0123456789abcdef"[digit]);
        }
        return *this;
    }

    Line& operator<<(const void* address) { return hex(reinterpret_cast<std::uintptr_t>(address)); }

    // Ends the line.
    const char* text() {
        text_[size_] = '\n';
        return text_;
    }
    std::size_t size() const { return size_ + 1; }

  private:
    void put(char c) {
        const bool prints = static_cast<unsigned char>(c) >= ' ' && c != 0x7f;
        if (size_ + 1 < sizeof text_) text_[size_++] = prints ? c : '?';
    }

    char text_[2048];
    std::size_t size_ = 0;
};

}  // namespace unknot
