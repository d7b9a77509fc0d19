// SPDX-License-Identifier: Apache-2.0
#include "tests/doors/contexts.h"

#include <dlfcn.h>
#include <link.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace doors {

namespace {

struct Task {
    void (*action)(void*);
    void* data;
};

Task constructor_task{};

int in_callback(dl_phdr_info*, std::size_t, void* data) {
    const Task& task = *static_cast<Task*>(data);
    task.action(task.data);
    return 1;
}

void run_in_constructor(Task task) {
    constructor_task = task;
    void* plugin = dlopen(UNKNOT_PLUGIN, RTLD_NOW | RTLD_LOCAL);
    if (plugin == nullptr) {
        std::fprintf(stderr, "%s\n", dlerror());
        std::_Exit(2);
    }
    dlclose(plugin);
}

std::atomic<unsigned> checked = 0;
std::atomic<unsigned> broken = 0;

}  // namespace

// What the plug-in's constructor calls.
extern "C" [[gnu::visibility("default")]] void doors_constructor_runs() {
    constructor_task.action(constructor_task.data);
}

std::optional<Context> context_named(std::string_view name) {
    if (name == "plain") return Context::plain;
    if (name == "thread") return Context::other_thread;
    if (name == "walk") return Context::walk;
    if (name == "constructor") return Context::constructor;
    return std::nullopt;
}

void run_in(Context context, void (*action)(void*), void* data) {
    Task task{action, data};
    switch (context) {
        case Context::plain:
            return action(data);
        case Context::other_thread:
            return std::thread(action, data).join();
        case Context::walk:
            dl_iterate_phdr(in_callback, &task);
            return;
        case Context::constructor:
            return run_in_constructor(task);
    }
}

const unknot::StatsPage* statistics() {
    static const auto* const page = static_cast<const unknot::StatsPage*>(dlsym(RTLD_DEFAULT, "unknot_stats"));
    return page;
}

std::uint64_t counter(std::uint64_t unknot::StatsPage::*which) {
    const unknot::StatsPage* page = statistics();
    return page != nullptr ? *static_cast<const volatile std::uint64_t*>(&(page->*which)) : 0;
}

bool is_protected() {
    const unknot::StatsPage* page = statistics();
    return page != nullptr && page->mode == unknot::Mode::protect;
}

bool diverts(Context context) {
    const bool stays_libcs =
        context == Context::constructor && is_protected() && statistics()->allocator == unknot::AllocatorKind::glibc;
    return is_protected() && owns_loader_lock(context) && !stays_libcs;
}

void expect(bool holds, const char* door, const char* claim, std::size_t size) {
    ++checked;
    if (holds) return;
    if (broken++ < 20) std::fprintf(stderr, "%s: %s (size %zu)\n", door, claim, size);
}

int verdict() {
    std::printf("checked %u, broken %u\n", checked.load(), broken.load());
    return broken == 0 && checked != 0 ? 0 : 1;
}

}  // namespace doors
