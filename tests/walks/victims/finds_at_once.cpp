// SPDX-License-Identifier: Apache-2.0
// An unwinder's walk begins with the object that it looks for, however many there are; what it does not find it has
// looked for everywhere, once, and what was loaded a moment ago is found like all else. Everybody else sees libc's
// order, and so does a stranger with an unwinder's file name, who hands over a number or what lies elsewhere.
//   finds_at_once [stranger]
#include <cstring>
#include <memory>
#include <vector>

#include "tests/walks/victims/stage.h"

namespace {

using Callback = int (*)(dl_phdr_info*, std::size_t, void*);
using Walk = int(Callback, void*);

Walk* as_unwinder = nullptr;

bool holds(const dl_phdr_info& info, const void* address) {
    const auto at = reinterpret_cast<ElfW(Addr)>(address);
    for (unsigned i = 0; i < info.dlpi_phnum; ++i) {
        const ElfW(Phdr)& header = info.dlpi_phdr[i];
        if (header.p_type == PT_LOAD && at - info.dlpi_addr - header.p_vaddr < header.p_memsz) return true;
    }
    return false;
}

// As unwinders lay it out: what is looked for comes first.
struct Search {
    const void* sought;
    bool content = true;  // false: the object is seen, but has nothing to offer
    std::vector<ElfW(Addr)> asked = {};

    static int ask(dl_phdr_info* info, std::size_t, void* data) {
        auto& search = *static_cast<Search*>(data);
        search.asked.push_back(info->dlpi_addr);
        return search.content && holds(*info, search.sought) ? 7 : 0;
    }
};

struct Object {
    ElfW(Addr) address;
    const void* last_byte;
};

std::vector<Object> loaded() {
    std::vector<Object> all;
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* data) {
            const char* last = nullptr;
            for (unsigned i = 0; i < info->dlpi_phnum; ++i) {
                const ElfW(Phdr)& header = info->dlpi_phdr[i];
                if (header.p_type != PT_LOAD) continue;
                last = reinterpret_cast<const char*>(info->dlpi_addr + header.p_vaddr + header.p_memsz - 1);
            }
            static_cast<std::vector<Object>*>(data)->push_back({info->dlpi_addr, last});
            return 0;
        },
        &all);
    return all;
}

void expect_each_once(const Search& search, std::vector<Object> objects) {
    scene::expect(search.asked.size() == objects.size(), "every object is asked once");
    for (const Object& object : objects) {
        long times = 0;
        for (const ElfW(Addr) asked : search.asked) times += asked == object.address;
        scene::expect(times == 1, "each of them");
    }
}

void look_everywhere() {
    const std::vector<Object> objects = loaded();
    for (const Object& object : objects) {
        Search search{.sought = object.last_byte};
        scene::expect(as_unwinder(Search::ask, &search) == 7, "it is found");
        scene::expect(search.asked == std::vector<ElfW(Addr)>{object.address}, "at once");
        Search in_vain{.sought = object.last_byte, .content = false};
        scene::expect(as_unwinder(Search::ask, &in_vain) == 0, "what has nothing to offer");
        expect_each_once(in_vain, objects);
    }
    Search nowhere{.sought = &nowhere};
    scene::expect(as_unwinder(Search::ask, &nowhere) == 0, "the stack is in no object");
    expect_each_once(nowhere, objects);
    Search by_others{.sought = objects.back().last_byte};
    scene::expect(dl_iterate_phdr(Search::ask, &by_others) == 7, "found by others");
    scene::expect(by_others.asked.size() == objects.size(), "in libc's order");
}

int calls = 0;

void walk_as_a_stranger() {
    for (const std::uintptr_t number : {0, 1, 5, 4096}) {
        calls = 0;
        auto count = [](dl_phdr_info*, std::size_t, void*) { return ++calls == 3 ? 7 : 0; };
        scene::expect(as_unwinder(count, reinterpret_cast<void*>(number)) == 7 && calls == 3, "a number is no address");
    }
    const std::vector<Object> objects = loaded();
    const auto elsewhere = std::make_unique<Search>();
    elsewhere->sought = objects.back().last_byte;
    scene::expect(as_unwinder(Search::ask, elsewhere.get()) == 7, "found");
    scene::expect(elsewhere->asked.size() == objects.size(), "in libc's order too");
}

}  // namespace

int main(int argc, char** argv) {
    as_unwinder = stage::find<Walk>(stage::load("libunwind_witness.so"), "walk_as_unwinder");
    walk_as_a_stranger();
    if (argc == 2 && std::strcmp(argv[1], "stranger") == 0) return 0;
    look_everywhere();
    for (int round = 0; round < 20; ++round) {
        void* plugin = stage::load("libwalks_plugin.so");
        look_everywhere();
        dlclose(plugin);
        look_everywhere();
    }
    std::atomic<bool> stop = false;
    std::thread loading([&] {
        while (!stop) dlclose(stage::load("libwalks_second_plugin.so"));
    });
    for (long round = 0; round < 2000; ++round) {
        void* plugin = stage::load("libwalks_plugin.so");
        Search search{.sought = dlsym(plugin, "pass_on")};
        scene::expect(as_unwinder(Search::ask, &search) == 7, "what has just been loaded is found");
        dlclose(plugin);
        scene::progress("rounds", round + 1);
    }
    stop = true;
    loading.join();
}
