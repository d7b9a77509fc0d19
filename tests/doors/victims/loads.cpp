// SPDX-License-Identifier: Apache-2.0
// Loads a plug-in in one of the ways that ld.so knows, uses it inside and outside of walks and from other threads, and
// unloads it, again and again.
//   loads private|deepbind|namespace <plug-in>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include "tests/doors/contexts.h"

using namespace doors;

namespace {

constexpr int rounds = 20;

void* load(std::string_view way, const char* path) {
    if (way == "namespace") return dlmopen(LM_ID_NEWLM, path, RTLD_NOW | RTLD_LOCAL);
    return dlopen(path, RTLD_NOW | RTLD_LOCAL | (way == "deepbind" ? RTLD_DEEPBIND : 0));
}

template <class Function>
Function* function(void* plugin, const char* name) {
    return reinterpret_cast<Function*>(dlsym(plugin, name));
}

void use(void* plugin, const char* where) {
    expect(function<int()>(plugin, "loader_plugin_allocates")() == 0, where, "the plug-in allocates and frees");
    expect(function<int()>(plugin, "loader_plugin_calls_answer")() == 42, where, "the resolver's choice is called");
    expect(function<int(char)>(plugin, "loader_plugin_uses_tls")(7) == 0, where, "thread-local storage is ours alone");
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: loads private|deepbind|namespace <plug-in>\n");
        return 2;
    }
    for (int i = 0; i < rounds; ++i) {
        const std::uint64_t diverted = counter(&unknot::StatsPage::diverted);
        void* plugin = load(argv[1], argv[2]);
        // The IFUNC's resolver allocates once, the constructor twice, and ld.so for itself.
        if (is_protected() && std::string_view(argv[1]) == "private") {
            expect(counter(&unknot::StatsPage::diverted) > diverted + 3, "dlopen", "is served from the arena");
        }
        if (plugin == nullptr) {
            std::fprintf(stderr, "%s\n", dlerror());
            return 2;
        }
        // The storage of these threads is made inside a walk and freed when they end.
        auto* uses_tls = function<int(char)>(plugin, "loader_plugin_uses_tls");
        auto* allocates = function<int()>(plugin, "loader_plugin_allocates");
        std::thread threads[3];
        for (std::thread& thread : threads) {
            thread = std::thread([&] {
                run_in(Context::walk, [&] {
                    expect(uses_tls(9) == 0, "walk", "thread-local storage is ours alone");
                    expect(allocates() == 0, "walk", "the plug-in allocates and frees");
                });
            });
        }
        for (std::thread& thread : threads) thread.join();
        use(plugin, "plain");
        dlclose(plugin);
        expect(dlopen("/no/such/plug-in", RTLD_NOW) == nullptr, "dlopen", "fails");
        std::free(std::malloc(1000));
    }
    return verdict();
}
