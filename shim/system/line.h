// SPDX-License-Identifier: Apache-2.0
// One line of the log, built on the stack and cut where it is too long: "2026-02-03T04:05:06.789Z unknot[PID]: ...",
// with its newline. What comes from outside cannot make two of it.
#pragma once

#include "shim/system/libc_functions.h"
#include "shim/system/platform.h"
#include "shim/system/utc.h"

namespace [[gnu::visibility("hidden")]] unknot {

class Line {
  public:
    // cppcheck-suppress uninitMemberVar  // 2 KiB of which nothing is read before it is written
    Line() {
        put_time();
        *this << " unknot[" << std::uint64_t{raw::pid()} << "]: ";
    }

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
    void put_time() {
        const timespec now = wall_clock();
        const Utc utc = utc_of(static_cast<std::uint64_t>(now.tv_sec));
        *this << utc.year << "-";
        two_digits(utc.month) << "-";
        two_digits(utc.day) << "T";
        two_digits(utc.hour) << ":";
        two_digits(utc.minute) << ":";
        two_digits(utc.second) << ".";
        const auto milliseconds = static_cast<unsigned>(now.tv_nsec / 1'000'000);
        put(static_cast<char>('0' + milliseconds / 100));
        two_digits(milliseconds % 100) << "Z";
    }
    Line& two_digits(unsigned number) {
        put(static_cast<char>('0' + number / 10));
        put(static_cast<char>('0' + number % 10));
        return *this;
    }
    void put(char c) {
        const bool prints = static_cast<unsigned char>(c) >= ' ' && c != 0x7f;
        if (size_ + 1 < sizeof text_) text_[size_++] = prints ? c : '?';
    }

    char text_[2048];
    std::size_t size_ = 0;
};

}  // namespace unknot
