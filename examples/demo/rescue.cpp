// SPDX-License-Identifier: Apache-2.0
#include "examples/demo/rescue.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include "examples/demo/pair.h"

namespace demo {

using unknot::process::Child;
using unknot::process::Outcome;
using unknot::process::Result;
using unknot::process::Watch;

namespace {

// Long enough for the doctor's looks and a rescue; one that still hangs then is ended.
constexpr Watch patient{std::chrono::seconds(60), std::chrono::minutes(5)};

Result unknot_says(const std::filesystem::path& folder, const char* command, pid_t pid) {
    return unknot::process::run({{folder / "unknot", command, std::to_string(pid)}, {}}, patient);
}

// The lines of `text`, each after `before`, folded between words into 80 columns.
void print_indented(const std::string& text, const std::string& before) {
    const std::size_t width = 80 - before.size();
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t end = std::min(text.find('\n', from), text.size());
        std::size_t to = end;
        if (end - from > width) {
            const std::size_t space = text.rfind(' ', from + width);
            // A word that is longer than the line stays whole.
            to = space != std::string::npos && space > from ? space : std::min(text.find(' ', from), end);
        }
        std::printf("%s%s\n", before.c_str(), text.substr(from, to - from).c_str());
        from = to + 1;
    }
}

}  // namespace

bool show_rescue(const Case& which, const std::filesystem::path& folder) {
    std::printf("\n%s once more, without the shim, and not ended this time\n", which.program.c_str());
    unknot::process::Command command = which.command;
    command.environment.emplace_back("LD_PRELOAD", which.allocator);
    command.environment.emplace_back("TCMALLOC_STACKTRACE_METHOD", which.stack_method);
    Child child(command, patient);
    const auto look = [&] {
        if (stop_requested != 0) throw Interrupted{};
        return child.look(std::chrono::milliseconds(100));
    };
    constexpr int deadlocked = 3;
    std::optional<Result> end;
    while (!(end = look()) && unknot_says(folder, "doctor", child.pid()).code != deadlocked) {
    }
    if (end) {
        std::printf("    it did not hang: %s\n", describe(*end).c_str());
        return false;
    }
    const std::string before = child.out();
    print_indented(before, "    it says:  ");
    std::printf("    and hangs. $ unknot rescue %d\n", static_cast<int>(child.pid()));
    std::fflush(stdout);
    const Result rescue = unknot_says(folder, "rescue", child.pid());
    print_indented(rescue.out + rescue.err, "    rescue:   ");
    std::fflush(stdout);
    while (!(end = look())) {
    }
    print_indented(end->out.substr(before.size()), "    it says:  ");
    std::printf("    %s\n", describe(*end).c_str());
    return rescue.code == 0 && end->succeeded();
}

}  // namespace demo
