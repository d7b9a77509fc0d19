// SPDX-License-Identifier: Apache-2.0
// The places where a door is called from, and what the shim counted meanwhile. Nothing here allocates between two
// readings of a counter, so that differences are exact.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "policy/stats_page.h"

namespace doors {

enum class Context : unsigned char { plain, other_thread, walk, constructor };

// "plain", "thread", "walk" or "constructor".
std::optional<Context> context_named(std::string_view name);

// Does the calling thread own a loader lock there?
constexpr bool owns_loader_lock(Context context) {
    return context == Context::walk || context == Context::constructor;
}

// Runs `action(data)` there, once. Ends the process with a line if it cannot.
void run_in(Context context, void (*action)(void*), void* data);

template <class Action>
void run_in(Context context, Action action) {
    run_in(
        context, [](void* data) { (*static_cast<Action*>(data))(); }, &action);
}

// The statistics page of the shim in this process; nullptr in a process without it.
const unknot::StatsPage* statistics();

// A counter by its place in the page; 0 without the shim.
std::uint64_t counter(std::uint64_t unknot::StatsPage::*which);

// Is there a shim, and does it protect?
bool is_protected();

// Is what is allocated there diverted? Under the load lock alone libc's own blocks stay libc's (policy/route.h).
bool diverts(Context context);

// A claim about one door. The first twenty that do not hold are printed.
void expect(bool holds, const char* door, const char* claim, std::size_t size = 0);

// Prints how many claims were checked; the process's exit status.
int verdict();

}  // namespace doors
