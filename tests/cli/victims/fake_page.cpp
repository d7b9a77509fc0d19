// SPDX-License-Identifier: Apache-2.0
// A library with the statistics page's symbol and whatever UNKNOT_TEST_PAGE asks for behind it.
#include <cstdlib>
#include <cstring>

#include "policy/stats_page.h"

extern "C" {
[[gnu::visibility("default")]] alignas(4096) unknot::StatsPage unknot_stats{};
}

[[gnu::constructor]] static void fill() {
    const char* kind = std::getenv("UNKNOT_TEST_PAGE");
    if (kind == nullptr || std::strcmp(kind, "blank") == 0) return;
    if (std::strcmp(kind, "noise") == 0) {
        std::memset(static_cast<void*>(&unknot_stats), 0xa5, sizeof unknot_stats);
        return;
    }
    unknot::StatsPage& page = unknot_stats;
    std::memcpy(page.magic, unknot::stats_magic, sizeof page.magic);
    page.version = unknot::stats_version;
    page.size = sizeof page;
    page.counters = unknot::stats_counters;
    page.walks = 11;
    page.diverted = 22;
    page.arena_live_bytes = 33;
    std::memset(page.library_version, '\033', sizeof page.library_version);  // no NUL, not printable
    if (std::strcmp(kind, "newer") == 0) {
        page.version = 2;
        page.size = 1 << 16;
        page.counters = 40;
        page.mode = static_cast<unknot::Mode>(77);
    }
    if (std::strcmp(kind, "older") == 0) {
        page.size = offsetof(unknot::StatsPage, arena_live_bytes);
        page.counters = 12;
    }
    if (std::strcmp(kind, "absurd size") == 0) page.size = 0xffffffffu;
    if (std::strcmp(kind, "no version") == 0) page.version = 0;
    if (std::strcmp(kind, "both edges") == 0) {
        page.mode = unknot::Mode::observe;
        page.under_loader_lock[0].count = 3;
        page.under_loader_lock[0].offset = 0x10;
        std::memset(page.under_loader_lock[0].object, 'x', sizeof page.under_loader_lock[0].object);  // no NUL
        page.inside_allocator[15].count = 1;
        std::strcpy(page.inside_allocator[15].object, "libunwind.so.8");
    }
}
