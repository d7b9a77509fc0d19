// SPDX-License-Identifier: Apache-2.0
// Resident memory of a small program of its own, in kB: at rest, and after one allocation under the loader lock, which
// with the shim is the arena's first.
#include <link.h>

#include <cstdio>
#include <cstdlib>

namespace {

struct Resident {
    long all = 0;  // with the pages of files that other processes share
    long own = 0;  // pages that exist because of this process
};

Resident read_resident() {
    Resident sum;
    std::FILE* file = std::fopen("/proc/self/smaps_rollup", "r");
    if (file == nullptr) return sum;
    char line[256];
    long kb = 0;
    while (std::fgets(line, sizeof line, file) != nullptr) {
        if (std::sscanf(line, "Rss: %ld", &kb) == 1) sum.all = kb;
        if (std::sscanf(line, "Private_Clean: %ld", &kb) == 1) sum.own += kb;
        if (std::sscanf(line, "Private_Dirty: %ld", &kb) == 1) sum.own += kb;
    }
    std::fclose(file);
    return sum;
}

}  // namespace

int main() {
    for (int i = 0; i < 1000; ++i) {
        void* volatile block = std::malloc(64);
        std::free(block);
    }
    const Resident before = read_resident();
    void* kept = nullptr;
    dl_iterate_phdr(
        [](dl_phdr_info*, std::size_t, void* data) {
            *static_cast<void**>(data) = std::calloc(1, 1000);
            return 1;
        },
        &kept);
    const Resident after = read_resident();
    std::free(kept);
    std::printf("rss_kb=%ld own_kb=%ld diverted_rss_kb=%ld diverted_own_kb=%ld\n", before.all, before.own, after.all,
                after.own);
}
