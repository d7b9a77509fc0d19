// SPDX-License-Identifier: Apache-2.0
// Walks, whole and cut short, with callbacks that allocate, between libraries that come and go: every object is seen
// once and by the callback that asked. One thread, as a wrapper with a static variable wants it.
#include <cstring>
#include <string>

#include "tests/walks/victims/stage.h"

namespace {

struct Seen {
    std::string names;
    int count = 0;
    int stop_at = -1;
};

int see(dl_phdr_info* info, std::size_t, void* data) {
    auto& seen = *static_cast<Seen*>(data);
    const char* slash = std::strrchr(info->dlpi_name, '/');
    if (slash != nullptr && std::strncmp(slash, "/libwalks_p", 11) == 0) seen.names += slash;
    return ++seen.count == seen.stop_at ? 7 : 0;
}

}  // namespace

int main() {
    for (int round = 0; round < 20; ++round) {
        void* plugin = stage::load("libwalks_plain_plugin.so");
        Seen whole;
        scene::expect(dl_iterate_phdr(see, &whole) == 0, "the walk ends by itself");
        scene::expect(whole.names == "/libwalks_plain_plugin.so", "the plug-in is seen once");
        Seen cut{.names = {}, .stop_at = 2};
        scene::expect(dl_iterate_phdr(see, &cut) == 7 && cut.count == 2, "the callback can end the walk");
        dlclose(plugin);
        Seen after;
        dl_iterate_phdr(see, &after);
        scene::expect(after.names.empty() && after.count + 1 == whole.count, "and is gone when it is unloaded");
    }
    scene::progress("rounds", 20);
}
