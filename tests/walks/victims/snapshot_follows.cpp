// SPDX-License-Identifier: Apache-2.0
// The snapshot shows what libc would show: the same objects in the same order, headers and names readable, after every
// dlopen and dlclose; and what it does not show because it is older than a dlclose it leaves out.
#include <signal.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/walks/victims/stage.h"

namespace {

using Callback = int (*)(dl_phdr_info*, std::size_t, void*);
using Walk = int(Callback, void*);

struct Seen {
    std::vector<std::string> objects;
    std::size_t size = 0;
    std::size_t stop_at = 1000;
};

int note(dl_phdr_info* info, std::size_t size, void* data) {
    auto& seen = *static_cast<Seen*>(data);
    std::string headers(reinterpret_cast<const char*>(info->dlpi_phdr), info->dlpi_phnum * sizeof *info->dlpi_phdr);
    seen.objects.push_back(std::to_string(info->dlpi_addr) + info->dlpi_name + headers);
    seen.size = size;
    return seen.objects.size() == seen.stop_at ? 7 : 0;
}

Walk* as_unwinder = nullptr;

Seen by_libc() {
    Seen seen;
    dl_iterate_phdr(note, &seen);
    return seen;
}

void expect_same() {
    const Seen expected = by_libc();
    const stage::Holder holder;
    Seen seen;
    scene::expect(as_unwinder(note, &seen) == 0, "the walk ends by itself");
    scene::expect(seen.objects == expected.objects, "the snapshot shows what libc shows");
    // Without the counters libgcc's unwinder leaves its cache alone, which is safe only under the lock.
    scene::expect(seen.size == offsetof(dl_phdr_info, dlpi_adds), "the structure is that from before glibc 2.4");
    Seen first{.objects = {}, .stop_at = 2};
    scene::expect(as_unwinder(note, &first) == 7 && first.objects.size() == 2, "the callback can end the walk");
}

std::vector<std::string> seen_in_handler;

// Past the shim's walk, so that the snapshot grows old: libc's own, found by hand.
void expect_outdated_entries_left_out(void* plugin) {
    auto* native = stage::find<Walk>(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), "dl_iterate_phdr");
    Seen before;
    native(note, &before);
    dlclose(plugin);
    Seen after;
    native(note, &after);
    scene::expect(after.objects.size() + 1 == before.objects.size(), "the plug-in is gone");
    std::atomic<bool> stop = false;
    std::atomic<bool> holding = false;
    struct Flags {
        std::atomic<bool>*stop, *holding;
    } flags{&stop, &holding};
    std::thread holder([&] {
        native(
            [](dl_phdr_info*, std::size_t, void* data) {
                *static_cast<Flags*>(data)->holding = true;
                while (!*static_cast<Flags*>(data)->stop) std::this_thread::yield();
                return 1;
            },
            &flags);
    });
    while (!holding) std::this_thread::yield();
    // On an alternate stack the shim cannot see whether it stands inside the allocator, and takes it that it does.
    alignas(16) static char stack[64 << 10];
    const stack_t alternate{.ss_sp = stack, .ss_flags = 0, .ss_size = sizeof stack};
    sigaltstack(&alternate, nullptr);
    struct sigaction action {};
    action.sa_flags = SA_ONSTACK;
    action.sa_handler = [](int) {
        Seen seen;
        as_unwinder(note, &seen);
        seen_in_handler = seen.objects;
    };
    sigaction(SIGUSR1, &action, nullptr);
    raise(SIGUSR1);
    stop = true;
    holder.join();
    scene::expect(seen_in_handler == after.objects, "what has been unloaded is left out");
}

}  // namespace

int main() {
    void* witness = stage::load("libunwind_witness.so");
    as_unwinder = stage::find<Walk>(witness, "walk_as_unwinder");
    expect_same();
    for (int round = 0; round < 20; ++round) {
        void* plugin = stage::load("libwalks_plugin.so");
        expect_same();
        void* second = stage::load("libwalks_second_plugin.so");
        expect_same();
        dlclose(plugin);
        expect_same();
        dlclose(second);
        expect_same();
    }
    void* plugin = stage::load("libwalks_plugin.so");
    expect_same();
    expect_outdated_entries_left_out(plugin);
    scene::progress("compared", 82);
}
