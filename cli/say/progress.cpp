// SPDX-License-Identifier: Apache-2.0
#include "cli/say/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace unknot::cli {

Progress::Progress(std::size_t all, std::string what)
    : all_(all), what_(std::move(what)), wanted_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
    if (shown_) fmt::print(stderr, "\r\033[K");
}

void Progress::one_more() {
    const std::lock_guard own(own_);
    ++done_;
    const auto now = Clock::now();
    if (!wanted_ || now - last_ < std::chrono::seconds(1)) return;
    last_ = now;
    shown_ = true;
    fmt::print(stderr, "\r\033[Kunknot: {} of {} {}", done_, all_, what_);
    std::fflush(stderr);
}

}  // namespace unknot::cli
