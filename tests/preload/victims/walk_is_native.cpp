// SPDX-License-Identifier: Apache-2.0
// The walk that a program gets is libc's own: the same objects in the same order with the same arguments, the same
// return value, the same early stop, and the same again inside a callback.
#include <dlfcn.h>

#include <string>
#include <vector>

#include "tests/preload/victims/scene.h"

namespace {

using Walk = int (*)(int (*)(dl_phdr_info*, std::size_t, void*), void*);

struct Recording {
    std::vector<std::string> calls;
    std::size_t stop_at;
    Walk nested = nullptr;
    std::vector<std::string> inner = {};
};

int record(dl_phdr_info* info, std::size_t size, void* data) {
    auto& recording = *static_cast<Recording*>(data);
    char line[512];
    std::snprintf(line, sizeof line, "%zu %p %s %p %d %llu %llu %zu %p", size, reinterpret_cast<void*>(info->dlpi_addr),
                  info->dlpi_name, static_cast<const void*>(info->dlpi_phdr), info->dlpi_phnum, info->dlpi_adds,
                  info->dlpi_subs, info->dlpi_tls_modid, info->dlpi_tls_data);
    recording.calls.emplace_back(line);
    if (recording.nested != nullptr && recording.calls.size() == 1) {
        Recording inner{{}, 1000};
        recording.nested(record, &inner);
        recording.inner = inner.calls;
    }
    return recording.calls.size() == recording.stop_at ? 42 : 0;
}

}  // namespace

int main() {
    void* libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    const auto native = reinterpret_cast<Walk>(dlsym(libc, "dl_iterate_phdr"));
    for (std::size_t stop_at : {1, 2, 3, 1000}) {
        Recording expected{{}, stop_at};
        Recording seen{{}, stop_at, &dl_iterate_phdr};
        const int native_result = native(record, &expected);
        const int result = dl_iterate_phdr(record, &seen);
        scene::expect(result == native_result, "the return value is the callback's");
        scene::expect(seen.calls == expected.calls, "the callback is called as libc calls it");
        scene::expect(stop_at > 3 || seen.calls.size() == stop_at, "a callback that returns non-zero is the last");
        if (stop_at == 1000) scene::expect(seen.inner == expected.calls, "a walk inside a walk sees the same");
        scene::expect(seen.calls.size() == expected.calls.size(), "as many calls");
    }
    scene::progress("compared", 4);
}
