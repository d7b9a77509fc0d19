// SPDX-License-Identifier: Apache-2.0
// The rows: two programs under five allocators and stack methods, and once more with the walks alone.
#include "examples/demo/cases.h"

namespace demo {

namespace {

using unknot::process::Command;

// Growths: enough for a second of work where nothing hangs.
Command reproducer(const std::filesystem::path& folder) {
    return {{folder / "phdr_deadlock", "malloc", "16384"}};
}

Command jvm(const std::filesystem::path& folder) {
    return {.argv = {"java", "-XX:-UsePerfData", "-XX:-CreateCoredumpOnCrash", "-XX:ErrorFile=/dev/null",
                     "-Djdk.attach.allowAttachSelf=true", "-cp", folder, "NativeGrowth", folder / "libsymbol_agent.so"},
            .leaves = {"/tmp/.java_pid%p"}};
}

}  // namespace

std::vector<Case> all_cases(const std::filesystem::path& folder) {
    const struct {
        const char* name;
        Command command;
    } programs[] = {{"C++ reproducer", reproducer(folder)}, {"JVM with agent", jvm(folder)}};
    const struct {
        const char* allocator;
        const char* method;
        const char* shown;
        bool main;
    } allocators[] = {
        {"libtcmalloc.so.4", "", "libunwind", true},
        {"libtcmalloc.so.4", "libgcc", "libgcc", false},
        {"libtcmalloc.so.4", "generic_fp", "generic_fp", false},
        {"libtcmalloc_minimal.so.4", "", "-", false},
        {"libmimalloc.so.2.0", "", "-", false},
    };
    std::vector<Case> cases;
    for (const auto& [allocator, method, shown, main] : allocators) {
        for (const auto& [name, command] : programs) cases.push_back({name, allocator, method, shown, main, command});
    }
    for (const auto& [name, command] : programs) {
        cases.push_back({name, "libtcmalloc.so.4", "", "walks only", false, command, "libunknot_walks.so"});
    }
    return cases;
}

}  // namespace demo
