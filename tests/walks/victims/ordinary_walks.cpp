// SPDX-License-Identifier: Apache-2.0
// What a program or a profiler gets from dl_iterate_phdr is libc's own walk, also while others unwind inside the
// allocator, walk and load: first compared call by call with libc's, then used as a profiler does, who reads what he is
// shown because the lock keeps it mapped.
#include <string>
#include <vector>

#include "tests/walks/victims/stage.h"

namespace {

using Walk = int(int (*)(dl_phdr_info*, std::size_t, void*), void*);

struct Recording {
    std::vector<std::string> calls = {};
    std::size_t stop_at;
};

int record(dl_phdr_info* info, std::size_t size, void* data) {
    auto& recording = *static_cast<Recording*>(data);
    char line[512];
    std::snprintf(line, sizeof line, "%zu %p %s %p %d %llu %llu %zu %d", size, reinterpret_cast<void*>(info->dlpi_addr),
                  info->dlpi_name, static_cast<const void*>(info->dlpi_phdr), info->dlpi_phnum, info->dlpi_adds,
                  info->dlpi_subs, info->dlpi_tls_modid, info->dlpi_tls_data != nullptr);
    recording.calls.emplace_back(line);
    return recording.calls.size() == recording.stop_at ? 42 : 0;
}

void compare(Walk* native) {
    for (std::size_t stop_at : {1, 2, 1000}) {
        Recording expected{.stop_at = stop_at};
        Recording seen{.stop_at = stop_at};
        const int native_result = native(record, &expected);
        scene::expect(dl_iterate_phdr(record, &seen) == native_result, "the return value is the callback's");
        scene::expect(seen.calls == expected.calls, "the callback is called as libc calls it");
    }
}

// Reads everything that it is shown: a library that went away meanwhile would end the process.
int read_all(dl_phdr_info* info, std::size_t, void*) {
    unsigned long sum = static_cast<unsigned char>(info->dlpi_name[0]);
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr)& header = info->dlpi_phdr[i];
        if (header.p_type == PT_LOAD && (header.p_flags & PF_R) != 0) {
            sum += *reinterpret_cast<const unsigned char*>(info->dlpi_addr + header.p_vaddr);
        }
    }
    scene::seen(&sum);
    return 0;
}

}  // namespace

int main() {
    scene::Growth growth;
    stage::Visitor visitor;
    auto* native = stage::find<Walk>(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), "dl_iterate_phdr");
    std::thread second([&] {
        for (int round = 0; round < 300; ++round) compare(native);
    });
    for (int round = 0; round < 300; ++round) compare(native);
    second.join();
    scene::progress("compared", 600);

    std::atomic<bool> stop = false;
    std::thread loading([&] {
        while (!stop) dlclose(stage::load("libwalks_plugin.so"));
    });
    for (int round = 0; round < 3000; ++round) dl_iterate_phdr(read_all, nullptr);
    stop = true;
    loading.join();
    scene::progress("read", 3000);
}
