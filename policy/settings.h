// SPDX-License-Identifier: Apache-2.0
// The settings: text -> Settings, one diagnosis per bad value. Knows no getenv: the caller hands in a look-up.
#pragma once

#include <cstddef>
#include <cstdint>

#include "policy/route.h"
#include "policy/stats_page.h"

namespace unknot {

enum class ReportWhen : std::uint8_t { off, exit };

struct Bytes {
    std::uint64_t value;
};

// Empty: stderr.
struct LogTarget {
    char path[256] = {};
    constexpr bool is_stderr() const { return path[0] == '\0'; }
};

constexpr bool same(const char* a, const char* b) {
    while (*a != '\0' && *a == *b) ++a, ++b;
    return *a == *b;
}

// The parsers: true and `out` set, or false and `out` untouched.
constexpr bool parse(const char* text, Mode& out) {
    if (same(text, "auto")) return out = Mode::automatic, true;
    if (same(text, "protect")) return out = Mode::protect, true;
    if (same(text, "walks")) return out = Mode::walks, true;
    if (same(text, "observe")) return out = Mode::observe, true;
    if (same(text, "off")) return out = Mode::off, true;
    return false;
}

constexpr bool parse(const char* text, ReportWhen& out) {
    if (same(text, "off")) return out = ReportWhen::off, true;
    if (same(text, "exit")) return out = ReportWhen::exit, true;
    return false;
}

constexpr bool parse(const char* text, ArenaFull& out) {
    if (same(text, "forward")) return out = ArenaFull::forward, true;
    if (same(text, "fail")) return out = ArenaFull::fail, true;
    return false;
}

constexpr bool parse(const char* text, WalkMode& out) {
    if (same(text, "nonblocking")) return out = WalkMode::nonblocking, true;
    if (same(text, "native")) return out = WalkMode::native, true;
    return false;
}

constexpr bool parse(const char* text, Bytes& out) {
    constexpr std::uint64_t smallest = std::uint64_t{64} << 10;
    constexpr std::uint64_t largest = std::uint64_t{1} << 40;
    std::uint64_t value = 0;
    const char* at = text;
    for (; *at >= '0' && *at <= '9'; ++at) {
        value = value * 10 + static_cast<std::uint64_t>(*at - '0');
        if (value > largest) return false;
    }
    if (at == text) return false;
    unsigned shift = 0;
    if (*at == 'K' || *at == 'k') shift = 10;
    if (*at == 'M' || *at == 'm') shift = 20;
    if (*at == 'G' || *at == 'g') shift = 30;
    if (shift != 0) ++at;
    if (*at != '\0' || value > (largest >> shift)) return false;
    value <<= shift;
    if (value < smallest) return false;
    out.value = value;
    return true;
}

constexpr bool parse(const char* text, LogTarget& out) {
    if (text[0] == '\0') return false;
    if (same(text, "stderr")) return out = LogTarget{}, true;
    LogTarget target{};
    std::size_t n = 0;
    for (; text[n] != '\0'; ++n) {
        if (n + 1 >= sizeof target.path) return false;
        target.path[n] = text[n];
    }
    return out = target, true;
}

// Nothing that is written again and again lies beside what every slow call reads.
struct alignas(64) Settings {
#define UNKNOT_SETTING(member, variable, type, value, text, accepted, help) type member = value;
#include "policy/settings.inc"
#undef UNKNOT_SETTING
};

// One value that was not understood; the default stays in force.
struct BadSetting {
    const char* variable;
    const char* value;
    const char* accepted;
    const char* fallback;
};

// `look_up(variable)` gives the text or nullptr; `complain(BadSetting)` is called once per bad value.
template <class LookUp, class Complain>
constexpr Settings read_settings(LookUp look_up, Complain complain) {
    Settings settings{};
#define UNKNOT_SETTING(member, variable, type, value, text, accepted, help)                          \
    if (const char* given = look_up(variable); given != nullptr && !parse(given, settings.member)) { \
        complain(BadSetting{variable, given, accepted, text});                                       \
    }
#include "policy/settings.inc"
#undef UNKNOT_SETTING
    return settings;
}

}  // namespace unknot
